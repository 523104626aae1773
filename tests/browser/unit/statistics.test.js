import {expect} from "/vendor/chai.js";
import {compile, createNetwork} from "/static/js/engine/wasm.js";
import {Statistics, Tally, perLabel, summary} from "/static/js/statistics.js";
import {unpack} from "/static/js/unpack.js";
import {makeShard} from "/unit/made.js";

const LAYERS = [
  {type: "input", width: 8, height: 8, channels: 1, mean: [0.5], std: [0.3]},
  {type: "conv", filters: 4, kernel: 3, padding: 1},
  {type: "relu"},
  {type: "max_pool", size: 2, stride: 2},
  {type: "fully_connected"},
  {type: "softmax"},
];
const LABELS = ["a", "b", "c"];
const settled = () => new Promise(resolve => setTimeout(resolve));

let module;
before(async () => {
  module = await compile(await (await fetch("/static/engine.wasm")).arrayBuffer());
});

function make({rest = async () => {}, tick = 1} = {}) {
  const said = [];
  let now = 0;
  const statistics = new Statistics({
    createNetwork: async (layers, labels, batch) => createNetwork(module, layers, labels.length, batch),
    now: () => (now += tick),
    rest,
    say: message => said.push(message),
  });
  const shards = [makeShard({count: 20}), makeShard({count: 33, seed: 3})];
  const assign = {assignment: 4, shards: shards.map(({hash, count}) => ({hash, count, labels: [2, 0]}))};
  const load = shard => statistics.shard({hash: shard.hash, ...unpack(shard.bytes)});
  const network = createNetwork(module, LAYERS, 3, 16);
  const reports = () => said.filter(({what}) => what === "report").map(({report}) => report);
  return {statistics, said, shards, assign, load, network, reports};
}

/** Give it everything, and a snapshot. */
async function complete(options) {
  const made = make(options);
  await made.statistics.network({version: 1, layers: LAYERS, labels: LABELS});
  await made.statistics.assign(made.assign);
  for (const shard of made.shards) await made.load(shard);
  made.show = (iteration, version = 1) =>
    made.statistics.tracker.parameters({iteration, version, vector: made.network.initial(iteration)});
  return made;
}

describe("statistics", () => {
  it("counts every picture once, with the engine's own loss and errors", async () => {
    const {show, reports, shards, network} = await complete();
    await show(7);
    const [report] = reports();
    network.setParameters(network.initial(7));
    let loss = 0, wrong = 0;
    for (const shard of shards) {
      const {pixels, labels} = unpack(shard.bytes);
      for (let i = 0; i < labels.length; i++) {
        const one = network.evaluate(pixels.subarray(i * 64, (i + 1) * 64), [[2, 0][labels[i]]], 1);
        loss += one.loss;
        wrong += one.wrong;
      }
    }
    expect(report).to.include({iteration: 7, version: 1, assignment: 4, vectors: 53, wrong, unknown: 0, error: wrong / 53});
    expect(report.loss).to.be.closeTo(loss / 53, 1e-6);
    expect(report.confusion.flat().reduce((sum, n) => sum + n)).to.equal(53);
    expect(report.confusion.map(row => row.reduce((sum, n) => sum + n))).to.deep.equal([26, 0, 27]);
    const right = report.confusion.reduce((sum, row, label) => sum + row[label], 0);
    expect(1 - right / 53).to.be.closeTo(report.error, 1e-12);
    expect(report.top[0]).to.be.closeTo(1 - report.error, 1e-12);
    expect(report.top[2]).to.equal(1);
  });

  it("shows the wrongest pictures, worst first, with their pixels", async () => {
    const {show, reports, shards} = await complete();
    await show(3);
    const {worst} = reports()[0];
    expect(worst.length).to.be.above(1);
    for (let i = 1; i < worst.length; i++) expect(worst[i].probability).to.be.at.least(worst[i - 1].probability);
    const {hash, index, pixels, label} = worst[0];
    const own = unpack(shards.find(shard => shard.hash === hash).bytes);
    expect([...pixels]).to.deep.equal([...own.pixels.subarray(index * 64, (index + 1) * 64)]);
    expect(label).to.equal([2, 0][own.labels[index]]);
  });

  it("asks for the next snapshot when it is done, and lets one of another version go", async () => {
    const {show, said, reports} = await complete();
    await show(1, 9);
    expect(reports()).to.deep.equal([]);
    await show(2);
    expect(said.filter(({type}) => type === "free").length).to.equal(2);
    expect(reports().map(({iteration}) => iteration)).to.deep.equal([2]);
  });

  it("waits for all pictures, then evaluates the snapshot that it has", async () => {
    const made = make();
    await made.statistics.network({version: 1, layers: LAYERS, labels: LABELS});
    made.statistics.assign(made.assign);
    await made.load(made.shards[0]);
    await made.statistics.tracker.parameters({iteration: 4, version: 1, vector: made.network.initial(4)});
    expect(made.reports()).to.deep.equal([]);
    await made.load(made.shards[1]);
    expect(made.reports()[0]).to.include({iteration: 4, vectors: 53});
  });

  it("tells nothing of an evaluation during which the network or the pictures changed", async () => {
    let change = async () => {};
    const made = await complete({tick: 60, rest: () => change()});
    change = async () => {
      change = async () => {};
      await made.statistics.assign({assignment: 5, shards: made.assign.shards.slice(0, 1)});
    };
    await made.show(1);
    expect(made.reports().length).to.equal(1);
    expect(made.reports()[0]).to.include({iteration: 1, assignment: 5, vectors: 20});
    change = async () => void made.statistics.network({version: 2, layers: LAYERS, labels: LABELS});
    await made.show(3);
    await settled();
    expect(made.reports().length).to.equal(1);
  });

  it("leaves out pictures whose label the network does not know, and counts them", async () => {
    const made = await complete();
    const shards = made.assign.shards.map(shard => ({...shard, labels: [2, -1]}));
    await made.statistics.assign({assignment: 5, shards});
    await made.show(1);
    const report = made.reports().at(-1);
    expect(report).to.include({assignment: 5, vectors: 27, unknown: 26});
    expect(report.confusion.map(row => row.reduce((sum, n) => sum + n))).to.deep.equal([0, 0, 27]);
    const told = made.reports().length;
    await made.statistics.assign({assignment: 6, shards: shards.map(shard => ({...shard, labels: [-1, -1]}))});
    expect(made.reports().length).to.equal(told, "nothing to tell of a test set whose labels are all unknown");
  });

  it("evaluates again when the same pictures get other labels", async () => {
    const made = await complete();
    await made.show(1);
    await made.statistics.assign({assignment: 5, shards: made.assign.shards.map(shard => ({...shard, labels: [1, 1]}))});
    expect(made.reports().map(({assignment}) => assignment)).to.deep.equal([4, 5]);
    expect(made.reports()[1].confusion.map(row => row.reduce((sum, n) => sum + n))).to.deep.equal([0, 53, 0]);
  });

  it("reports sums to the master, and counts of each label up to a hundred", async () => {
    const {show, reports} = await complete();
    await show(2);
    const [report] = reports();
    const told = summary(report);
    expect(told).to.include({assignment: 4, iteration: 2, version: 1, count: 53, wrong: report.wrong});
    expect(told.loss / 53).to.be.closeTo(report.loss, 1e-12);
    expect(told.labels.map(([pictures]) => pictures)).to.deep.equal([26, 0, 27]);
    const totals = told.labels.reduce((sums, row) => sums.map((sum, i) => sum + row[i]), [0, 0, 0]);
    expect(totals).to.deep.equal([53, 53, 53 - report.wrong]);
    const many = Array.from({length: 101}, (_, i) => String(i));
    const confusion = many.map(() => Array(101).fill(0));
    expect(summary({...report, labels: many, confusion}).labels).to.deep.equal([]);
  });

  it("counts answers of spare outputs, which no label has, as wrong ones", () => {
    const tally = new Tally(3);
    tally.add({hash: "h", first: 0, pixels: Uint8Array.of(1), labels: Int32Array.of(0), n: 1}, 1, 1, Float32Array.of(0.1, 0.2, 0.7));
    expect(tally.figures().confusion).to.deep.equal([[0, 0, 1], [0, 0, 0], [0, 0, 0]]);
  });

  it("has precision, recall and F1 as scikit-learn defines them", () => {
    const figures = perLabel([[5, 1, 0], [2, 3, 0], [0, 0, 0]]);
    expect(figures[0].precision).to.be.closeTo(5 / 7, 1e-12);
    expect(figures[0].recall).to.be.closeTo(5 / 6, 1e-12);
    expect(figures[0].f1).to.be.closeTo(10 / 13, 1e-12);
    expect(figures[2]).to.deep.equal({precision: 0, recall: 0, f1: 0, support: 0});
    expect(figures.map(({support}) => support)).to.deep.equal([6, 5, 0]);
  });

  it("keeps no more wrong pictures than a screen shows: the worst", () => {
    const tally = new Tally(2);
    for (let i = 0; i < 100; i++) {
      const sure = ((i * 37) % 100) / 250;
      tally.add({hash: "h", first: i, pixels: Uint8Array.of(i), labels: Int32Array.of(0), n: 1}, 0, 1, Float32Array.of(sure, 1 - sure));
    }
    expect(tally.worst.length).to.equal(24);
    expect(tally.worst.map(({probability}) => Math.round(probability * 250))).to.deep.equal(Array.from({length: 24}, (_, i) => i));
    expect(tally.worst[5].pixels[0]).to.equal(tally.worst[5].index);
  });
});
