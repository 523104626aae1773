// Boss, trainers, data worker and engine, all real; only the master at the other end of the line is the test.

import {expect} from "/vendor/chai.js";
import {Boss} from "/static/js/boss.js";
import {compile, createNetwork} from "/static/js/engine/wasm.js";
import {sum} from "/static/js/combiner.js";
import {decode, encode} from "/static/js/protocol.js";
import {unpack} from "/static/js/unpack.js";
import {Stream} from "/static/js/work.js";
import {supervise} from "/static/js/supervise.js";
import {digest, makeShard, until} from "/unit/made.js";

const LAYERS = [
  {type: "input", width: 8, height: 8, channels: 1, mean: [0.5], std: [0.3]},
  {type: "conv", filters: 4, kernel: 3, padding: 1},
  {type: "relu"},
  {type: "max_pool", size: 2, stride: 2},
  {type: "fully_connected"},
  {type: "softmax"},
];
const NETWORK = {project: "p", version: 1, layers: LAYERS, labels: ["a", "b"], seed: 3};
const timers = {later: (work, ms) => setTimeout(work, ms), cancel: timer => clearTimeout(timer)};
const start = role => supervise(() => new Worker(`/static/js/entry/${role}.js`, {type: "module"}), timers);

let module, bosses;
before(async () => {
  module = await compile(await (await fetch("/static/engine.wasm")).arrayBuffer());
});
beforeEach(() => (bosses = []));
afterEach(async () => {
  for (const boss of bosses) boss.socket.end("closed", "the test is over");
  for (const boss of bosses) boss.crew.supply.endpoint?.terminate();
  await new Promise(resolve => (indexedDB.deleteDatabase("mlitb").onsuccess = resolve));
});

function open(compileEngine = async () => module) {
  const heard = [], shown = [];
  const line = {
    readyState: 0,
    bufferedAmount: 0,
    send: frame => heard.push(decode(frame)),
    close() {},
  };
  const page = {postMessage: message => shown.push(message), onmessage: null};
  const boss = new Boss(page, {engine: "", engine_url: "", data_url: location.origin}, {
    open: () => line,
    startWorker: () => start("worker"),
    startData: () => start("data"),
    compile: compileEngine,
    device: "",
    cores: 4,
    ...timers,
    random: Math.random,
    now: Date.now,
  });
  bosses.push(boss);
  boss.start();
  line.readyState = 1;
  line.onopen();
  const say = (type, fields, vector = null) => line.onmessage({data: encode({type, ...fields}, vector)});
  say("Welcome", {client: 1, resume: "t", owner: false});
  const of = type => heard.filter(({message}) => message.type === type).map(({message, vector}) => ({...message, vector}));
  return {boss, of, say, shown, page: message => page.onmessage({data: message})};
}

const put = shard => fetch(`/shards/${shard.hash}.zip`, {method: "PUT", body: shard.bytes});
const asked = async shard => Number(await (await fetch(`/asked/shards/${shard.hash}.zip`)).text());
const assigned = ({hash, count, bytes}, stride = {}) =>
  ({hash, cut: "c", count, bytes: bytes.length, labels: [1, 0], offset: 0, step: 1, ...stride});
const order = (worker, fields) =>
  ({worker, assignment: 1, ready: [0, 1], seed: worker, cursor: 0, micro_batch: 4, until_ms: 20_000, limit: 12, ...fields});

/** What one order gives, by the slow way. */
function expected(network, parameters, shards, pieces, {seed, cursor, limit, micro_batch: size}, iteration) {
  network.setParameters(parameters);
  network.clear();
  const data = shards.map(shard => unpack(shard.bytes));
  const vectors = [...new Stream(pieces, seed).take(cursor, limit)];
  for (let at = 0; at < vectors.length; at += size) {
    const some = vectors.slice(at, at + size);
    const pixels = new Uint8Array(64 * some.length);
    some.forEach(({piece, index}, i) => pixels.set(data[piece].pixels.subarray(index * 64, index * 64 + 64), i * 64));
    const labels = some.map(({piece, index}) => pieces[piece].labels[data[piece].labels[index]]);
    network.gradient(pixels, labels, some.length, Uint32Array.from(some, ({key}) => key), NETWORK.seed, iteration);
  }
  return network.gradientSum().slice();
}

/** Join `n` workers that hold the shards. */
async function join(master, n, shards) {
  for (let i = 0; i < n; i++) master.page({type: "add", project: "p", role: "trainer"});
  await until(() => master.of("Join").length === n);
  master.say("Network", NETWORK);
  const pieces = Array.from({length: n}, (_, i) => shards.map(shard => assigned(shard, {offset: i, step: n})));
  for (let worker = 1; worker <= n; worker++)
    master.say("Assign", {project: "p", worker, assignment: 1, shards: pieces[worker - 1]});
  const ready = worker => new Set(master.of("Ready").filter(said => said.worker === worker).flatMap(said => said.shards)).size;
  for (let worker = 1; worker <= n; worker++) await until(() => ready(worker) === shards.length);
  return pieces;
}

describe("all together", () => {
  it("two trainers hold, compute and answer together, iteration after iteration, to the bit", async () => {
    const shards = [makeShard({count: 24}), makeShard({count: 24, seed: 1})];
    await Promise.all(shards.map(put));
    const master = open();
    const pieces = await join(master, 2, shards);
    const network = createNetwork(module, LAYERS, 2, 16);
    const parameters = network.initial(3);
    for (let iteration = 1; iteration <= 3; iteration++) {
      const orders = [order(1, {cursor: 12 * iteration}), order(2, {cursor: 12 * iteration, limit: 10})];
      master.say("Parameters", {project: "p", iteration, version: 1}, parameters);
      master.say("Orders", {project: "p", iteration, orders, margin_ms: 2000});
      await until(() => master.of("Answer").length === iteration);
      const answer = master.of("Answer").at(-1);
      const parts = orders.map((one, i) => expected(network, parameters, shards, pieces[i], one, iteration));
      expect(answer.results.map(({worker, count}) => [worker, count])).to.deep.equal([[1, 12], [2, 10]]);
      expect(answer.vector).to.deep.equal(sum(parts));
      parameters.forEach((value, i) => (parameters[i] = value - 0.01 * answer.vector[i]));
    }
    for (const shard of shards) expect(await asked(shard)).to.equal(1);
  });

  it("a returning browser tells what it holds and downloads nothing", async () => {
    const shards = [makeShard({count: 16, seed: 2}), makeShard({count: 16, seed: 3})];
    await Promise.all(shards.map(put));
    const first = open();
    await join(first, 1, shards);
    first.boss.crew.supply.endpoint.terminate();
    const second = open();
    await join(second, 1, shards);
    expect(second.of("Holds")[0].shards.sort()).to.deep.equal(shards.map(({hash}) => hash).sort());
    for (const shard of shards) expect(await asked(shard)).to.equal(1);
    await until(() => second.shown.some(({workers}) => workers?.[0]?.cached === 32));
    expect(second.shown.findLast(({type}) => type === "workers").workers[0].downloadedBytes).to.equal(0);
  });

  it("computes with more labels when the network has grown", async () => {
    const shards = [makeShard({count: 16, seed: 4}), makeShard({count: 16, seed: 5})];
    await Promise.all(shards.map(put));
    const master = open();
    const pieces = await join(master, 1, shards);
    const grown = createNetwork(module, LAYERS, 3, 16);
    const parameters = grown.initial(3);
    master.say("Network", {...NETWORK, version: 2, labels: ["a", "b", "c"]});
    master.say("Parameters", {project: "p", iteration: 9, version: 2}, parameters);
    master.say("Orders", {project: "p", iteration: 9, orders: [order(1)], margin_ms: 2000});
    await until(() => master.of("Answer").length);
    expect(master.of("Answer")[0].vector).to.deep.equal(expected(grown, parameters, shards, pieces[0], order(1), 9));
  });

  it("evaluates and classifies beside the training, with no trainer needed", async () => {
    const shard = makeShard({count: 20, seed: 8});
    await put(shard);
    const master = open();
    const network = createNetwork(module, LAYERS, 2, 16);
    const told = what => master.shown.filter(message => message.type === "told" && message.what === what);
    master.page({type: "add", project: "p", role: "statistics"});
    master.page({type: "add", project: "p", role: "classify"});
    await until(() => master.of("Join").length === 2);
    master.say("Network", NETWORK);
    master.say("Assign", {project: "p", worker: 1, assignment: 0, shards: [assigned(shard)]});
    master.say("Assign", {project: "p", worker: 2, assignment: 0, shards: []});
    master.say("Parameters", {project: "p", iteration: 5, version: 1}, network.initial(3));
    await until(() => told("report").length && told("snapshot").length);
    expect(told("report")[0].report).to.include({iteration: 5, vectors: 20});
    expect(told("report")[0]).to.include({worker: 1, project: "p"});
    const pixels = unpack(shard.bytes).pixels.slice(0, 64);
    network.setParameters(network.initial(3));
    const expectedOnes = network.probabilities(pixels, 1);
    master.page({type: "ask", worker: 2, what: "classify", id: 9, pixels, n: 1});
    await until(() => told("classify").length);
    expect(told("classify")[0]).to.deep.include({worker: 2, id: 9, iteration: 5, labels: ["a", "b"], probabilities: expectedOnes});
  });

  it("names what the engine refuses, and stops trying after three restarts", async () => {
    const master = open();
    master.page({type: "add", project: "p", role: "trainer"});
    await until(() => master.of("Join").length);
    master.say("Network", {...NETWORK, layers: [{type: "input", width: 8, height: 8, channels: 1}, {type: "telepathy"}]});
    await until(() => master.of("Failed").length === 4);
    expect(master.of("Failed")[0].reason).to.match(/telepathy/);
  });

  it("says when the engine cannot be had", async () => {
    const master = open(async () => { throw new Error("the server answers 404 for the engine"); });
    master.page({type: "add", project: "p", role: "trainer"});
    await until(() => master.shown.some(({workers}) => workers?.[0]?.state === "failed"));
    expect(master.shown.findLast(({type}) => type === "workers").workers[0].reason).to.match(/answers 404 for the engine/);
  });

  it("finds a shard with wrong bytes, says so, and takes the right ones when they come", async () => {
    const [shard, other] = [makeShard({count: 16, seed: 6}), makeShard({count: 16, seed: 7})];
    await fetch(`/shards/${shard.hash}.zip`, {method: "PUT", body: other.bytes});
    const master = open();
    master.page({type: "add", project: "p", role: "trainer"});
    await until(() => master.of("Join").length);
    master.say("Network", NETWORK);
    master.say("Assign", {project: "p", worker: 1, assignment: 1, shards: [assigned(shard)]});
    await until(() => master.shown.some(({workers}) => /other bytes/.test(workers?.[0]?.reason)));
    expect(master.of("Ready")).to.deep.equal([]);
    await put(shard);
    await until(() => master.of("Ready").length);
    expect(digest(shard.bytes)).to.equal(master.of("Ready")[0].shards[0]);
  });
});
