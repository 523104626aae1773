import {expect} from "/vendor/chai.js";
import {compile, createNetwork} from "/static/js/engine/wasm.js";
import {makeYield} from "/static/js/port.js";
import {Trainer} from "/static/js/trainer.js";
import {Stream} from "/static/js/work.js";
import {unpack} from "/static/js/unpack.js";
import {makeShard, until} from "/unit/made.js";

const LAYERS = [
  {type: "input", width: 8, height: 8, channels: 1, mean: [0.5], std: [0.3]},
  {type: "conv", filters: 4, kernel: 3, padding: 1},
  {type: "relu"},
  {type: "max_pool", size: 2, stride: 2},
  {type: "fully_connected"},
  {type: "softmax"},
];
const LABELS = ["a", "b", "c"];

let module;
before(async () => {
  module = await compile(await (await fetch("/static/engine.wasm")).arrayBuffer());
});

/** A trainer that holds two shards; `tick` is what the clock advances by at each look. */
async function make({tick = 1, rest = makeYield(), onSleep = () => {}, layers = LAYERS} = {}) {
  const said = [], slept = [];
  let now = 0;
  const trainer = new Trainer({
    createNetwork: async (layers, labels, batch) => createNetwork(module, layers, labels.length, batch),
    now: () => (now += tick),
    rest,
    sleep: async ms => {
      now += ms;
      slept.push(ms);
      onSleep();
    },
    answer: message => said.push(message),
  });
  const shards = [makeShard(), makeShard({seed: 1, count: 13})];
  const pieces = shards.map(({hash, count}) => ({hash, count, labels: [2, 0], offset: 0, step: 1}));
  const network = createNetwork(module, layers, LABELS.length, 16);
  const parameters = network.initial(3);
  await trainer.network({version: 1, layers, labels: LABELS, seed: 11});
  trainer.assign({assignment: 1, shards: pieces});
  for (const shard of shards) trainer.shard({hash: shard.hash, ...unpack(shard.bytes)});
  const results = () => said.filter(({type}) => type === "result");
  const order = (fields = {}, job = {}) => trainer.order({
    iteration: 7, version: 1, parameters: parameters.slice(), ...job,
    order: {assignment: 1, ready: [0, 1], seed: 5, cursor: 0, micro_batch: 4, until_ms: 1e9, limit: 33, ...fields},
  });
  return {trainer, said, slept, results, order, shards, pieces, network, parameters};
}

const settledResults = (made, n) => until(() => made.results().length >= n);

/** The same gradient by the slow way: one vector after the other through the contract. */
function reference({network, parameters, shards, pieces}, {cursor = 0, count, size = 4, seed = 5, iteration = 7, ready = [0, 1]}) {
  network.setParameters(parameters);
  network.clear();
  const data = ready.map(i => unpack(shards[i].bytes));
  const held = ready.map(i => pieces[i]);
  let loss = 0, wrong = 0;
  const vectors = [...new Stream(held, seed).take(cursor, count)];
  for (let start = 0; start < count; start += size) {
    const some = vectors.slice(start, start + size);
    const pixels = new Uint8Array(64 * some.length);
    some.forEach(({piece, index}, i) => pixels.set(data[piece].pixels.subarray(index * 64, index * 64 + 64), i * 64));
    const labels = some.map(({piece, index}) => held[piece].labels[data[piece].labels[index]]);
    const outcome = network.gradient(pixels, labels, some.length, Uint32Array.from(some, ({key}) => key), 11, iteration);
    loss += outcome.loss;
    wrong += outcome.wrong;
  }
  return {loss, wrong, gradient: network.gradientSum().slice()};
}

describe("trainer", () => {
  it("says which shards it has loaded", async () => {
    const {said, shards} = await make();
    expect(said).to.deep.equal(shards.map(({hash}) => ({type: "loaded", hash})));
  });

  it("computes once round, to the bit what the order says", async () => {
    const made = await make();
    await made.order();
    const [{count, loss, wrong, gradient, all, iteration}] = made.results();
    const expected = reference(made, {count: 33});
    expect({count, loss, wrong, all, iteration}).to.deep.equal({count: 33, loss: expected.loss, wrong: expected.wrong, all: true, iteration: 7});
    expect(gradient).to.deep.equal(expected.gradient);
    expect(Math.hypot(...gradient)).to.be.above(0);
  });

  it("goes on at the cursor, past the end of the round", async () => {
    const made = await make();
    await made.order({cursor: 25, limit: 20});
    expect(made.results()[0].gradient).to.deep.equal(reference(made, {cursor: 25, count: 20}).gradient);
  });

  it("computes only the shards that the order lists, and only its stride of them", async () => {
    const made = await make();
    made.pieces[1].offset = 1;
    made.pieces[1].step = 3;
    await made.order({ready: [1], limit: 4});
    expect(made.results()[0].gradient).to.deep.equal(reference(made, {count: 4, ready: [1]}).gradient);
  });

  it("stops at the first whole micro-batch after its time", async () => {
    const made = await make({tick: 10});
    await made.order({until_ms: 25}); // looked at after each: 10, 20, 30
    const [{count, all, ms}] = made.results();
    expect({count, all}).to.deep.equal({count: 12, all: false});
    expect(ms).to.equal(40);
  });

  it("lets messages in every 10 ms, and a newer order ends the one at work", async () => {
    let rests = 0, second;
    const rest = async () => {
      if (!rests++) second = made.order({micro_batch: 1, limit: 2}, {iteration: 8});
    };
    const made = await make({tick: 4, rest});
    await made.order({micro_batch: 1});
    await second;
    const [old, newer] = made.results();
    expect(rests).to.equal(1);
    expect(old).to.include({iteration: 7, count: 3, all: false});
    expect(old.gradient).to.deep.equal(reference(made, {count: 3, size: 1}).gradient);
    expect(newer).to.include({iteration: 8, count: 2, all: true});
  });

  it("answers every order, also those that it never began", async () => {
    const made = await make({tick: 20});
    const orders = [7, 8, 9].map(iteration => made.order({micro_batch: 1}, {iteration}));
    await Promise.all(orders);
    expect(made.results().map(({iteration}) => iteration).sort()).to.deep.equal([7, 8, 9]);
    expect(made.results().map(({count}) => count)).to.deep.equal([0, 0, 33]);
  });

  it("stops when told, and answers with what it has", async () => {
    const made = await make({tick: 4, rest: async () => made.trainer.stop()});
    await made.order({micro_batch: 1});
    expect(made.results()[0]).to.include({count: 3, all: false});
  });

  it("computes nothing for another version of the network, or shards that it lost", async () => {
    const made = await make();
    await made.order({}, {version: 2});
    await made.order({assignment: 9});
    made.trainer.assign({assignment: 2, shards: []});
    made.trainer.assign({assignment: 3, shards: made.pieces.slice(1)});
    await made.order({assignment: 3, ready: [0], limit: 13});
    expect(made.results().map(({count}) => count)).to.deep.equal([0, 0, 13]);
    expect(made.trainer.pictures.size).to.equal(1);
  });

  it("holds no shard that was assigned to another meanwhile, and counts anew with a new connection", async () => {
    const {trainer, pieces, shards, said} = await make();
    trainer.assign({assignment: 2, shards: pieces});
    trainer.assign({assignment: 1, shards: []});
    trainer.assign({assignment: 2, shards: []});
    expect(trainer.pictures.size).to.equal(0);
    const before = said.length;
    trainer.shard({hash: shards[0].hash, ...unpack(shards[0].bytes)});
    expect(trainer.pictures.size).to.equal(0);
    expect(said.length).to.equal(before);
  });

  it("takes local steps from the broadcast parameters, round after round, and answers with the way they led", async () => {
    const made = await make();
    await made.order({local_rate: 0.05, local_momentum: 0.9, cursor: 20, limit: 70});
    const [{count, loss, gradient}] = made.results();
    const {network, parameters, shards, pieces} = made;
    const data = shards.map(shard => unpack(shard.bytes));
    network.setParameters(parameters);
    network.beginLocal();
    const walk = new Stream(pieces, 5).walk(20);
    let lost = 0;
    for (let at = 0; at < 70; at += 4) {
      const some = Array.from({length: Math.min(4, 70 - at)}, () => walk.next().value);
      const pixels = new Uint8Array(64 * some.length);
      some.forEach(({piece, index}, i) => pixels.set(data[piece].pixels.subarray(index * 64, index * 64 + 64), i * 64));
      const labels = some.map(({piece, index}) => pieces[piece].labels[data[piece].labels[index]]);
      lost += network.gradient(pixels, labels, some.length, Uint32Array.from(some, ({key}) => key), 11, 7).loss;
      network.localStep(some.length, 0.05, 0.9);
    }
    expect({count, loss}).to.deep.equal({count: 70, loss: lost});
    expect(gradient).to.deep.equal(network.localDifference().map(value => -70 * value));
    await made.order({}, {iteration: 8});
    expect(made.results()[1].gradient).to.deep.equal(reference(made, {count: 33, iteration: 8}).gradient);
  });

  it("waits with an order for the network that is being built", async () => {
    const made = await make();
    const grown = [...LABELS, "d"];
    const larger = createNetwork(module, LAYERS, 4, 16);
    const building = made.trainer.network({version: 2, layers: LAYERS, labels: grown, seed: 11});
    await made.order({limit: 4}, {version: 2, parameters: larger.initial(3)});
    await building;
    expect(made.results()[0].gradient.length).to.equal(larger.parameterCount);
  });

  it("drops out as the order says: seed, iteration and key, whatever came before", async () => {
    const layers = [...LAYERS.slice(0, 4), {type: "dropout", rate: 0.5}, ...LAYERS.slice(4)];
    let made;
    try {
      made = await make({layers});
    } catch (error) {
      expect(error.name).to.equal("EngineError");
      return;
    }
    for (const iteration of [7, 8]) await made.order({}, {iteration});
    const [one, two] = made.results();
    expect(one.gradient).to.deep.equal(reference(made, {count: 33, iteration: 7}).gradient);
    expect(two.gradient).to.deep.equal(reference(made, {count: 33, iteration: 8}).gradient);
    expect(one.gradient).not.to.deep.equal(two.gradient);
  });

  it("tells in a sentence when the engine refuses", async () => {
    const {trainer} = await make();
    let refusal = "";
    await trainer.network({version: 2, layers: [{type: "input"}], labels: LABELS, seed: 1}).catch(error => (refusal = error.message));
    expect(refusal).to.match(/./);
  });

  const all = slept => slept.reduce((sum, ms) => sum + ms, 0);

  it("gives way for as long as it was asked to, and computes on", async () => {
    const made = await make();
    made.trainer.giveWay(120);
    await made.order();
    const [{count, ms, gradient}] = made.results();
    expect(all(made.slept)).to.be.within(100, 170); // in pieces, so that it hears
    expect(Math.max(...made.slept)).to.be.at.most(50);
    expect(count).to.equal(33);
    expect(gradient).to.deep.equal(reference(made, {count: 33}).gradient);
    expect(ms).to.be.below(40); // what it computed, not what it rested
    await made.order();
    expect(made.results()[1].count).to.equal(33);
    expect(all(made.slept)).to.be.at.most(170);
  });

  it("ends its order in time although it gives way for longer", async () => {
    const made = await make();
    made.trainer.giveWay(10_000);
    await made.order({until_ms: 220});
    expect(made.results()[0].count).to.equal(4); // one micro-batch, before anything else
    expect(all(made.slept)).to.be.within(180, 220);
  });

  it("takes a newer order while it gives way", async () => {
    const made = await make({onSleep: () => made.slept.length === 1 && void made.order({}, {iteration: 8})});
    made.trainer.giveWay(60);
    await made.order();
    await settledResults(made, 2);
    expect(made.results().map(({iteration, count}) => [iteration, count])).to.deep.equal([[7, 4], [8, 33]]);
  });

  it("hears a real message in the middle of an order", async () => {
    const made = await make({tick: 0});
    const {trainer} = made;
    trainer.surroundings.now = () => performance.now();
    const many = makeShard({count: 200});
    trainer.assign({assignment: 2, shards: [{...made.pieces[0], hash: many.hash, count: 200}]});
    trainer.shard({hash: many.hash, ...unpack(many.bytes)});
    const gradient = trainer.engine.gradient.bind(trainer.engine);
    trainer.engine.gradient = (...batch) => {
      const end = performance.now() + 10; // a slow device: the order would take two seconds
      while (performance.now() < end);
      return gradient(...batch);
    };
    const {port1, port2} = new MessageChannel();
    port1.onmessage = () => trainer.stop();
    const order = made.order({assignment: 2, ready: [0], limit: 200, micro_batch: 1});
    port2.postMessage(null);
    await order;
    port1.close();
    expect(made.results()[0].count).to.be.within(1, 199);
  });
});
