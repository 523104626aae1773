import {expect} from "/vendor/chai.js";
import {order, settled, working} from "/unit/bosses.js";

describe("boss: an iteration", () => {
  it("adds its workers' gradients and answers once", async () => {
    const {begin, result, answers, workers} = await working(2);
    begin(1, order(1), order(2));
    await settled();
    expect(workers.map(worker => [...worker.of("order")[0].parameters])).to.deep.equal([[1, 2], [1, 2]]);
    result(2, 1);
    expect(answers()).to.deep.equal([]);
    result(1, 1, {count: 4});
    expect(answers().length).to.equal(1);
    const {iteration, results, vector} = answers()[0];
    expect(iteration).to.equal(1);
    expect(results).to.deep.equal([
      {worker: 1, count: 4, loss: 4, wrong: 1, ms: 100}, {worker: 2, count: 8, loss: 4, wrong: 1, ms: 100},
    ]);
    expect([...vector]).to.deep.equal([3, 20]);
  });

  it("does not wait for a stuck worker, names it, and takes it back when it answers", async () => {
    const {begin, result, answers, clock, rows} = await working(2);
    begin(1, order(1), order(2));
    result(1, 1);
    clock.pass(1099);
    expect(answers()).to.deep.equal([]);
    clock.pass(1);
    expect(answers()[0].results.map(({worker}) => worker)).to.deep.equal([1]);
    expect(rows()[1]).to.include({worker: 2, state: "silent"});
    result(2, 1);
    expect(answers().length).to.equal(1);
    expect(rows()[1]).to.include({state: "ready", reason: ""});
    begin(2, order(1), order(2));
    result(1, 2);
    result(2, 2);
    expect(answers()[1].results.length).to.equal(2);
  });

  it("cuts a worker that is stuck by the margin that the master gives, so that the others are in time", async () => {
    const made = await working(2);
    made.marginMs = 45; // a grace of 50 ms; a tenth of the budget would be 390
    made.begin(1, order(1, {until_ms: 3900}), order(2, {until_ms: 3900}));
    made.result(1, 1);
    made.clock.pass(3944);
    expect(made.answers()).to.deep.equal([]);
    made.clock.pass(1);
    expect(made.answers()[0].results.map(({worker}) => worker)).to.deep.equal([1]);
  });

  it("gives a worker that is stuck the margin once, not in every iteration", async () => {
    const {begin, result, answers, clock, rows} = await working(2);
    begin(1, order(1), order(2));
    result(1, 1);
    clock.pass(1100);
    for (let iteration = 2; iteration <= 4; iteration++) {
      begin(iteration, order(1), order(2));
      result(1, iteration);
      expect(rows()[1]).to.include({worker: 2, state: "silent"});
      clock.pass(749); // and 250 for the rows
      expect(answers().length).to.equal(iteration - 1);
      clock.pass(1);
      expect(answers().at(-1)).to.deep.include({iteration});
    }
  });

  it("awaits a worker that was late again, margin and all, as soon as it answers anything", async () => {
    const {begin, result, answers, clock, rows} = await working(2);
    begin(1, order(1), order(2));
    result(1, 1);
    clock.pass(1100);
    begin(2, order(1), order(2));
    result(1, 2);
    result(2, 1);
    expect(rows()[1]).to.include({state: "silent"}, "it still owes an answer");
    clock.pass(849);
    expect(answers().length).to.equal(1);
    result(2, 2);
    expect(answers()[1].results.map(({worker}) => worker)).to.deep.equal([1, 2]);
    expect(rows()[1]).to.include({state: "ready", reason: ""});
  });

  it("piles up no parameters before a worker that answers nothing", async () => {
    const {begin, result, answers, workers, clock} = await working(2);
    for (let iteration = 1; iteration <= 5; iteration++) {
      begin(iteration, order(1), order(2));
      await settled();
      result(1, iteration);
      clock.pass(1100);
      expect(answers().at(-1)).to.deep.include({iteration});
      expect(answers().length).to.equal(iteration);
    }
    expect(workers[1].of("order").length).to.equal(2);
  });

  it("after many orders at once (a tab that slept) the newest is computed, and nothing piles up", async () => {
    const {begin, result, answers, workers} = await working(1);
    for (let iteration = 1; iteration <= 9; iteration++) begin(iteration, order(1));
    await settled();
    expect(workers[0].of("order").map(({iteration}) => iteration)).to.deep.equal([1, 2]);
    result(1, 1, {count: 0, gradient: null});
    await settled();
    expect(workers[0].of("order").at(-1).iteration).to.equal(9);
    result(1, 2, {count: 0, gradient: null});
    result(1, 9);
    expect(answers().at(-1)).to.deep.include({iteration: 9});
    expect(answers().at(-1).results[0].count).to.equal(8);
  });

  it("leaves out a gradient that is not finite", async () => {
    const {begin, result, answers, rows} = await working(2);
    begin(1, order(1), order(2));
    result(1, 1, {gradient: Float32Array.of(NaN, 1)});
    result(2, 1);
    expect(answers()[0].results.map(({worker}) => worker)).to.deep.equal([2]);
    expect([...answers()[0].vector]).to.deep.equal([2, 10]);
    expect(rows()[0].reason).to.match(/not finite/);
  });

  it("answers without a vector when nothing was computed", async () => {
    const {begin, result, answers} = await working(1);
    begin(1, order(1));
    result(1, 1, {count: 0, loss: 0, wrong: 0, gradient: null});
    expect(answers()[0]).to.deep.include({vector: null});
    expect(answers()[0].results[0].count).to.equal(0);
  });

  it("ends an iteration that is still open when the next one's orders come", async () => {
    const {begin, result, answers} = await working(1);
    begin(1, order(1));
    begin(2, order(1));
    expect(answers()[0]).to.deep.include({iteration: 1, results: []});
    result(1, 1);
    expect(answers().length).to.equal(1);
    result(1, 2);
    expect(answers()[1].results.length).to.equal(1);
  });

  it("sends no vector of an iteration that newer orders ended: the master would refuse it", async () => {
    const {begin, result, answers} = await working(2);
    begin(1, order(1), order(2));
    result(1, 1);
    begin(2, order(1), order(2));
    expect(answers()).to.deep.equal([{type: "Answer", project: "p", iteration: 1, results: [], vector: null}]);
  });

  it("answers without its vector while the one before has not left, and says so", async () => {
    const {begin, result, answers, line, rows, say} = await working(1);
    begin(1, order(1));
    result(1, 1);
    line().bufferedAmount = 1; // a byte of the vector
    begin(2, order(1));
    result(1, 2);
    expect(answers()[1]).to.deep.include({iteration: 2, results: [], vector: null});
    expect(rows()[0].reason).to.match(/^not sent: .*a longer T/);
    say({type: "control", project: "p", action: "start"}); // what is said meanwhile changes nothing
    begin(3, order(1));
    result(1, 3);
    expect([...answers()[2].vector]).to.deep.equal([1, 10]);
    expect(rows()[0].reason).to.equal("");
  });

  it("sends the vector on a new connection, whatever the last one kept", async () => {
    const {begin, result, lines, line, clock} = await working(1);
    begin(1, order(1));
    result(1, 1);
    lines[0].bufferedAmount = 1;
    lines[0].drop();
    clock.pass(500);
    line().open();
    line().say("Welcome", {client: 4, resume: "t", owner: false});
    line().bufferedAmount = 10; // Hello
    begin(2, order(1));
    result(1, 2);
    expect([...line().of("Answer")[0].vector]).to.deep.equal([1, 10]);
  });

  it("awaits no worker that was removed", async () => {
    const {begin, result, answers, say, line, workers} = await working(2);
    begin(1, order(1), order(2));
    result(1, 1);
    say({type: "remove", worker: 2});
    expect(line().of("Leave")[0].worker).to.equal(2);
    expect(workers[1].ended).to.equal(true);
    expect(answers()[0].results.map(({worker}) => worker)).to.deep.equal([1]);
    expect(line().heard.slice(-2).map(({message}) => message.type)).to.deep.equal(["Answer", "Leave"]);
  });

  it("answers nothing when its last worker is taken back", async () => {
    const {begin, answers, say, line, clock} = await working(1);
    begin(1, order(1));
    say({type: "remove", worker: 1});
    clock.pass(5000);
    expect(line().of("Leave").length).to.equal(1);
    expect(answers()).to.deep.equal([]);
  });

  it("stops a paused worker at once and tells the master", async () => {
    const {begin, say, line, workers, rows} = await working(1);
    begin(1, order(1));
    say({type: "tune", worker: 1, paused: true, intensity: 0.5});
    await settled();
    expect(workers[0].of("stop").length).to.equal(1);
    expect(line().of("Tune")[0]).to.deep.include({worker: 1, paused: true, intensity: 0.5, capacity_vectors: 3000});
    expect(rows()[0].state).to.equal("paused");
  });

  it("shows what each worker does", async () => {
    const {begin, result, rows} = await working(1);
    begin(1, order(1));
    expect(rows()[0]).to.include({state: "working", iteration: 1, budgetMs: 1000, allocated: 20, cached: 20, totalBytes: 200});
    result(1, 1, {count: 20, all: true});
    expect(rows()[0]).to.include({state: "saturated", count: 20, total: 20, power: 200});
  });
});
