import {expect} from "/vendor/chai.js";
import {PROTOCOL} from "/static/js/protocol.js";
import {SHARDS, make, order, settled, working} from "/unit/bosses.js";

describe("boss: coming in", () => {
  it("introduces itself first, and watches what the page watches", () => {
    const {line, say, last} = make();
    say({type: "watch", project: "p"});
    expect(last("connection").state).to.equal("connecting");
    line().open();
    expect(line().heard[0].message).to.deep.equal({type: "Hello", protocol: PROTOCOL, engine: "e".repeat(64), resume: "", device: "a test"});
    line().say("Welcome", {client: 4, resume: "token", owner: true});
    expect(last("welcome")).to.deep.equal({type: "welcome", client: 4, owner: true});
    expect(last("connection").state).to.equal("open");
    expect(line().of("Watch")[0].project).to.equal("p");
  });

  it("tells what it holds before it joins, and each shard as it becomes usable", async () => {
    const made = await working(1);
    expect(made.line().heard.map(({message}) => message.type)).to.deep.equal(["Hello", "Holds", "Join", "Ready", "Ready"]);
    expect(made.line().of("Holds")[0].shards).to.deep.equal(["aa"]);
    expect(made.line().of("Join")[0]).to.deep.include({project: "p", worker: 1, role: "trainer", capacity_vectors: 3000});
    expect(made.line().of("Ready").map(({shards}) => shards)).to.deep.equal([["aa"], ["bb"]]);
    expect(made.data.of("want")[0]).to.deep.equal({type: "want", worker: 1, hashes: ["aa", "bb"]});
  });

  it("gives a worker engine, network and assignment in this order", async () => {
    const {workers} = await working(1);
    expect(workers[0].got.map(({type}) => type)).to.deep.equal(["start", "network", "assign"]);
    expect(workers[0].got[0].module).to.equal("module");
  });

  it("wants only what a worker lacks when its assignment changes, and tells the rest as ready", async () => {
    const {line, data, workers, clock} = await working(1);
    const next = [SHARDS[1], {...SHARDS[0], hash: "cc"}];
    line().say("Assign", {project: "p", worker: 1, assignment: 2, shards: next});
    clock.pass(100);
    expect(data.of("want").at(-1).hashes).to.deep.equal(["cc"]);
    expect(line().of("Ready").at(-1)).to.deep.include({assignment: 2, shards: ["bb"]});
    await settled();
    expect(workers[0].of("assign").at(-1)).to.deep.include({assignment: 2, shards: next});
  });

  it("ends with a sentence when the page is too old", async () => {
    const {line, last, workers, clock, lines} = await working(1);
    line().say("Reload", {reason: "the engine changed"});
    clock.pass(1e6);
    expect(last("connection")).to.include({state: "reload", reason: "the engine changed"});
    expect(workers[0].ended).to.equal(true);
    expect(lines.length).to.equal(1);
  });

  it("keeps a worker that was refused in the table, with the reason", async () => {
    const {line, rows, last} = await working(1);
    line().say("Refused", {status: 404, reason: "there is no project p", about: "Join", worker: 1});
    expect(rows()[0]).to.include({worker: 1, state: "failed", reason: "there is no project p"});
    expect(last("refused").status).to.equal(404);
  });
});

describe("boss: workers that only look", () => {
  async function looking() {
    const made = await working(1);
    made.say({type: "add", project: "p", role: "statistics"});
    await settled();
    made.line().say("Assign", {project: "p", worker: 2, assignment: 0, shards: []});
    made.show = iteration => made.line().say("Parameters", {project: "p", iteration, version: 1}, Float32Array.of(iteration));
    made.seen = async () => {
      await settled();
      return made.workers[1].of("parameters").map(({iteration}) => iteration);
    };
    return made;
  }

  it("shows one snapshot at a time, and then the newest", async () => {
    const {show, seen, workers, line, rows} = await looking();
    expect(line().of("Join")[1]).to.include({role: "statistics", worker: 2});
    for (const iteration of [1, 2, 3]) show(iteration);
    expect(await seen()).to.deep.equal([1]);
    expect(rows()[1]).to.include({state: "working", iteration: 1});
    const before = line().of("Ready").length;
    workers[1].say({type: "free"});
    expect(await seen()).to.deep.equal([1, 3]);
    expect(line().of("Ready").length).to.equal(before);
    workers[1].say({type: "free"});
    expect(line().of("Ready").at(-1)).to.deep.include({worker: 2, assignment: 0, shards: []});
    expect(await seen()).to.deep.equal([1, 3]);
    expect(rows()[1].state).to.equal("waiting", "there is no test set");
  });

  it("looks at the same snapshot once, and asks for another no more than once a second", async () => {
    const {show, seen, workers, line, clock} = await looking();
    show(1);
    await seen();
    workers[1].say({type: "free"});
    const asked = () => line().of("Ready").filter(({worker}) => worker === 2).length;
    expect(asked()).to.equal(1);
    show(1);
    show(1);
    expect(await seen()).to.deep.equal([1]);
    expect(asked()).to.equal(1);
    clock.pass(1000);
    expect(asked()).to.be.within(2, 3);
    line().say("Parameters", {project: "p", iteration: 1, version: 1}, Float32Array.of(5)); // the project was set back
    expect(await seen()).to.deep.equal([1, 1]);
  });

  it("passes questions on and answers back, with whose they are", async () => {
    const {say, workers, last} = await looking();
    say({type: "ask", worker: 2, what: "classify", id: 5, pixels: Uint8Array.of(1)});
    await settled();
    expect(workers[1].of("classify")[0].id).to.equal(5);
    workers[1].say({type: "told", what: "classify", id: 5, labels: ["a"], probabilities: [1]});
    expect(last("told")).to.deep.equal({type: "told", what: "classify", id: 5, labels: ["a"], probabilities: [1], worker: 2, project: "p"});
    workers[1].say({type: "failed", reason: "no memory"});
    say({type: "remove", worker: 2});
    say({type: "ask", worker: 2, what: "classify", id: 6});
    expect(last("refused").reason).to.match(/no worker 2/);
  });

  const REPORT = {
    iteration: 3, version: 1, assignment: 0, labels: ["a", "b"], vectors: 5, wrong: 2, loss: 0.5, error: 0.4, confusion: [[2, 1], [1, 1]],
  };

  it("reports an evaluation to the master for its owner, and shows it", async () => {
    const {line, workers, last} = await looking();
    line().say("Welcome", {client: 4, resume: "token", owner: true});
    await settled();
    workers[1].say({type: "told", what: "report", report: REPORT});
    const counts = {assignment: 0, iteration: 3, version: 1, count: 5, wrong: 2, loss: 2.5, labels: [[3, 3, 2], [2, 2, 1]]};
    expect(line().of("Report")).to.deep.equal([{type: "Report", worker: 2, ...counts, vector: null}]);
    expect(last("told")).to.deep.include({what: "report", worker: 2, project: "p", report: REPORT});
  });

  it("shows a visitor's evaluation here alone, and reports no loss that JSON cannot hold", async () => {
    const {line, workers, last, rows} = await looking();
    workers[1].say({type: "told", what: "report", report: REPORT});
    expect(last("told").report).to.deep.equal(REPORT);
    line().say("Welcome", {client: 4, resume: "token", owner: true});
    await settled();
    workers[1].say({type: "told", what: "report", report: {...REPORT, loss: Infinity}});
    expect(line().of("Report")).to.deep.equal([]);
    expect(rows()[1].reason).to.match(/iteration 3 is not a finite number/);
  });

  it("gives no orders to them, and does not await them", async () => {
    const {begin, result, answers} = await looking();
    begin(1, order(1));
    result(1, 1);
    expect(answers()[0].results.length).to.equal(1);
  });
});

describe("boss: what goes wrong", () => {
  it("comes back as the same client, and joins its workers anew without losing what they hold", async () => {
    const {lines, clock, workers, say} = await working(2);
    say({type: "watch", project: "p"});
    lines[0].drop();
    clock.pass(500);
    lines[1].open();
    expect(lines[1].of("Hello")[0].resume).to.equal("token");
    lines[1].say("Welcome", {client: 4, resume: "token 2", owner: false});
    await settled();
    expect(lines[1].heard.map(({message}) => message.type)).to.deep.equal(["Hello", "Watch", "Holds", "Join", "Join"]);
    lines[1].say("Assign", {project: "p", worker: 1, assignment: 1, shards: SHARDS});
    expect(lines[1].of("Ready")[0].shards).to.deep.equal(["aa", "bb"]);
    expect(workers.length).to.equal(2);
    expect(workers[0].ended).to.equal(false);
  });

  it("sends no answer of an iteration that another connection ordered", async () => {
    const {begin, result, lines, clock} = await working(1);
    begin(1, order(1));
    lines[0].drop();
    clock.pass(500);
    lines[1].open();
    lines[1].say("Welcome", {client: 4, resume: "t", owner: false});
    result(1, 1);
    clock.pass(5000);
    expect(lines[1].of("Answer")).to.deep.equal([]);
  });

  it("asks when the connection is silent, and gives it up when it stays so", async () => {
    const {lines, line, clock, say, last} = await working(1);
    say({type: "watch", project: "p"});
    clock.pass(39_899);
    expect(line().of("Watch").length).to.equal(1);
    clock.pass(1);
    expect(line().of("Watch").length).to.equal(2);
    line().say("Roster", {project: "p", rows: [], more: 0});
    clock.pass(79_999);
    expect(last("connection").state).to.equal("open");
    clock.pass(1);
    expect(last("connection").reason).to.match(/silent/);
    clock.pass(500);
    expect(lines.length).to.equal(2);
    clock.pass(19_999); // less than a new connection gets for its first word
    expect(lines.length).to.equal(2);
  });

  it("says for how long it slept", async () => {
    const {clock, last} = await working(1);
    clock.pass(60_000);
    expect(last("slept")).to.equal(undefined);
    clock.now += 3_600_000;
    clock.pass(5000);
    expect(last("slept").ms).to.be.within(3_599_000, 3_600_000);
  });

  it("shows whether a worker was early while it computes, too", async () => {
    const {begin, result, rows} = await working(1);
    begin(1, order(1));
    result(1, 1, {all: true});
    expect(rows()[0]).to.include({state: "saturated", early: true});
    begin(2, order(1));
    expect(rows()[0]).to.include({state: "working", early: true});
    result(1, 2);
    expect(rows()[0]).to.include({state: "ready", early: false, total: 16});
  });

  it("leaves a core to the person who touches the page", async () => {
    const {say, workers} = await working(4); // of a device with three cores
    const touch = async () => {
      say({type: "touched"});
      await settled();
      return workers.map(worker => worker.of("giveWay").length);
    };
    expect(await touch()).to.deep.equal([0, 0, 1, 1]);
    expect(workers[3].of("giveWay")[0].ms).to.equal(1000);
    say({type: "tune", worker: 1, paused: true});
    expect(await touch()).to.deep.equal([0, 0, 1, 2]);
    for (const worker of [3, 4]) say({type: "remove", worker});
    expect(await touch()).to.deep.equal([0, 0, 1, 2]);
  });

  it("makes no noise about an answer that came too late, but about one that was wrong", async () => {
    const {begin, result, line, last} = await working(1);
    begin(1, order(1));
    result(1, 1);
    line().say("Refused", {status: 409, reason: "iteration 1 is closed: this is 2", about: "Answer", worker: -1});
    expect(last("refused")).to.equal(undefined);
    line().say("Refused", {status: 422, reason: "the gradient has 3 values instead of 2", about: "Answer", worker: -1});
    expect(last("refused").reason).to.match(/3 values/);
  });

  it("shows the master's advice beside the worker that it is about, and no longer", async () => {
    const {line, rows, clock} = await working(1);
    const row = {client: 4, worker: 1, latency_ms: 12, advice: "this link needs T ≥ 6 s"};
    line().say("Roster", {project: "p", rows: [{...row, client: 5, advice: "not mine"}, row], more: 0});
    expect(rows()[0]).to.include({reason: "this link needs T ≥ 6 s", latencyMs: 12});
    clock.pass(5000); // nothing else changes any more, as of a worker that is paused
    line().say("Roster", {project: "p", rows: [{...row, advice: ""}], more: 0});
    clock.pass(5000);
    expect(rows()[0].reason).to.equal("");
  });

  it("joins once, whenever the welcome comes", async () => {
    const {line, say, data} = make();
    say({type: "add", project: "p", role: "trainer"});
    line().open();
    line().say("Welcome", {client: 1, resume: "t", owner: false});
    data.say({type: "cached", hashes: [], kind: "memory", why: "refused"});
    await settled();
    expect(line().of("Join").length).to.equal(1);
    expect(line().of("Holds").length).to.equal(1);
  });

  it("names a worker that fails, and restarts it three times", async () => {
    const {line, workers, rows, clock, shown} = await working(1);
    for (let i = 0; i < 4; i++) {
      expect(shown.filter(({type, workers: rows}) => type === "workers" && rows[0]?.state === "failed")).to.deep.equal([], "it starts again");
      workers[i].onerror({message: `out of memory ${i}`});
      await settled();
      clock.pass(250);
      expect(workers[i].ended).to.equal(true);
    }
    expect(line().of("Failed").map(({reason}) => reason)).to.deep.equal([0, 1, 2, 3].map(i => `out of memory ${i}`));
    expect(line().of("Join").length).to.equal(4);
    expect(workers.length).to.equal(4);
    clock.pass(1000);
    expect(rows()[0]).to.include({state: "failed", reason: "out of memory 3"});
  });

  it("lets the others work when one fails", async () => {
    const {begin, result, answers, workers} = await working(2);
    begin(1, order(1), order(2));
    workers[1].say({type: "failed", reason: "no memory"});
    result(1, 1);
    expect(answers()[0].results.map(({worker}) => worker)).to.deep.equal([1]);
  });

  it("shows why data does not come", async () => {
    const {line, data, rows} = await working(1);
    line().say("Assign", {project: "p", worker: 1, assignment: 2, shards: [{...SHARDS[0], hash: "cc"}]});
    data.say({type: "trouble", workers: [1], hash: "cc", reason: "the data server cannot be reached", retryMs: 500});
    expect(rows()[0]).to.include({state: "joining", reason: "the data server cannot be reached"});
  });

  it("drops a removed project with its workers", async () => {
    const {begin, answers, line, workers, rows, last} = await working(2);
    begin(1, order(1), order(2));
    line().say("Removed", {project: "p"});
    expect(answers()).to.deep.equal([]);
    expect(workers.map(({ended}) => ended)).to.deep.equal([true, true]);
    expect(rows()).to.deep.equal([]);
    expect(last("removed").project).to.equal("p");
  });

  it("reconnects after a message that it cannot use, and says which", async () => {
    const {line, last, lines, clock} = await working(1);
    line().say("Orders", {project: "p", iteration: 9, orders: [order(1)]});
    expect(last("connection")).to.include({state: "lost"});
    expect(last("connection").reason).to.match(/orders of iteration 9 without its parameters/);
    clock.pass(500);
    expect(lines.length).to.equal(2);
  });

  it("keeps as much as the page allows, whenever it says so", async () => {
    const early = make();
    early.say({type: "keep", bytes: 7});
    early.say({type: "add", project: "p", role: "trainer"});
    expect(early.data.of("start")[0].quota).to.equal(7);
    const {say, data} = await working(1);
    say({type: "keep", bytes: 9});
    expect(data.of("quota")).to.deep.equal([{type: "quota", bytes: 9}]);
  });

  it("tells the page when it asks for what is not there", () => {
    const {say, last} = make();
    say({type: "tune", worker: 9});
    expect(last("refused").reason).to.equal("this page has no worker 9");
    say({type: "sing"});
    expect(last("refused").reason).to.match(/unknown type "sing"/);
    say({type: "control", project: "p", action: "start"});
    expect(last("refused").reason).to.match(/no connection/);
  });
});

