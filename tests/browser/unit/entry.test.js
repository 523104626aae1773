// The boss's own script as the page starts it: configuration, address, engine; no master is at the other end.

import {expect} from "/vendor/chai.js";
import {START_MS, supervise} from "/static/js/supervise.js";
import {until} from "/unit/made.js";

const configure = config => fetch("/api/config", {method: "PUT", body: JSON.stringify(config)});
const unconfigure = () => fetch("/api/config", {method: "DELETE"});
const workers = [];

function start() {
  const said = [];
  const timers = {later: (work, ms) => setTimeout(work, ms), cancel: timer => clearTimeout(timer)};
  const boss = supervise(() => new Worker("/static/js/entry/boss.js", {type: "module"}), timers); // as the page does
  workers.push(boss);
  boss.onmessage = ({data}) => said.push(data);
  return {boss, said};
}

afterEach(() => workers.splice(0).forEach(worker => worker.terminate()));

describe("entry/boss", () => {
  it("tells that the server does not answer, and tries again until it does", async () => {
    await unconfigure();
    const {said} = start();
    const lost = () => said.filter(({state}) => state === "lost");
    await until(() => lost().length);
    expect(said.slice(0, 2).map(({state}) => state)).to.deep.equal(["connecting", "lost"]);
    expect(lost()[0]).to.include({reason: "the server answers 404"});
    expect(lost()[0].retryMs).to.be.above(0);
    await configure({engine: "", engine_url: "/static/engine.wasm", data_url: location.origin});
    await until(() => lost().some(({reason}) => /connection/.test(reason))); // now /ws is what is missing
  });

  it("runs no engine but the one that this page was made for", async () => {
    await configure({engine: "0".repeat(64), engine_url: "/static/engine.wasm", data_url: location.origin});
    const {boss, said} = start();
    boss.postMessage({type: "add", project: "p", role: "trainer"}); // before the boss has its configuration
    await until(() => said.some(({type, workers}) => type === "workers" && workers[0]?.state === "failed"));
    expect(said.findLast(({type}) => type === "workers").workers[0].reason).to.match(/^the engine came with the hash \w{8}…, not 00000000…$/);
  }).timeout(START_MS + 20_000); // Firefox may start a worker that never speaks: then it is started again
});

describe("entry/data", () => {
  it("takes what the boss says while its cache is still being opened", async () => {
    const timers = {later: (work, ms) => setTimeout(work, ms), cancel: timer => clearTimeout(timer)};
    const data = supervise(() => new Worker("/static/js/entry/data.js", {type: "module"}), timers), said = [];
    workers.push(data);
    data.onmessage = event => said.push(event.data);
    data.postMessage({type: "start", base: location.origin, quota: 1e6});
    data.postMessage({type: "want", worker: 1, hashes: ["0".repeat(64)]});
    data.postMessage({type: "quota", bytes: 2e6});
    data.postMessage({type: "forget", worker: 2});
    await until(() => said.some(({type}) => type === "trouble"));
    expect(said.map(({type}) => type).filter(type => type !== "cacheTrouble")).to.deep.equal(["cached", "trouble"]);
    expect(said.find(({type}) => type === "trouble").reason).to.match(/answers 404 for shard 00000000/);
  }).timeout(START_MS + 20_000);
});
