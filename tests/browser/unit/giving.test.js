import {expect} from "/vendor/chai.js";
import {connect} from "/static/js/ui/live.js";
import {shownState} from "/static/js/ui/mine.js";

const WORKER = {worker: 1, project: "p", role: "trainer", state: "working", total: 0};

/** A page whose boss and clock are the test. */
function make() {
  const boss = {postMessage() {}, onmessage: null, onerror: null, terminate() {}}, clock = {now: 1000};
  const live = connect(boss, false, () => clock.now, () => clock.now);
  const say = (type, fields) => boss.onmessage({data: {type, ...fields}});
  const workers = (...changes) => say("workers", {workers: changes.map((change, i) => ({...WORKER, worker: i + 1, ...change}))});
  const pass = ms => void (clock.now += ms);
  const given = (project = "p") => (live.count(), live.given.value.get(project) ?? {vectors: 0, ms: 0});
  say("connection", {state: "open"});
  return {live, say, workers, pass, given, clock};
}

describe("what a page gives", () => {
  it("is the time in which a worker computes, whether anybody looks or not", () => {
    const {workers, pass, given} = make();
    pass(10_000);
    workers({state: "joining"});
    pass(3000);
    workers({});
    pass(60_000); // a hidden tab: no timer, and no message before the iteration ends
    workers({state: "saturated", total: 40});
    pass(500);
    expect(given()).to.deep.equal({vectors: 40, ms: 60_500});
  });

  it("counts no time twice where two workers compute", () => {
    const {workers, pass, given} = make();
    workers({}, {});
    pass(1000);
    workers({total: 5}, {total: 7});
    expect(given()).to.deep.equal({vectors: 12, ms: 1000});
  });

  it("stands still while paused, disconnected, or for another project", () => {
    const {live, say, workers, pass, given} = make();
    workers({});
    live.tune(1, {paused: true});
    pass(1000);
    expect(given().ms).to.equal(0);
    live.tune(1, {paused: false});
    say("connection", {state: "lost"});
    pass(1000);
    say("connection", {state: "open"});
    say("status", {status: {project: "p", state: "paused"}});
    pass(1000);
    say("status", {status: {project: "p", state: "running"}});
    expect(given().ms).to.equal(0);
    pass(1000);
    expect(given().ms).to.equal(1000);
    expect(given("q")).to.deep.equal({vectors: 0, ms: 0});
  });

  it("keeps what stopped workers gave, and adds what others give", () => {
    const {workers, pass, given, say} = make();
    workers({total: 5});
    pass(1000);
    say("workers", {workers: []});
    pass(1000);
    say("workers", {workers: [{...WORKER, worker: 2, total: 3}]});
    expect(given()).to.deep.equal({vectors: 8, ms: 1000});
  });

  it("leaves out what the tab slept", () => {
    const {workers, pass, given, say} = make();
    workers({});
    pass(2000);
    workers({total: 1});
    pass(3_600_000);
    workers({total: 2});
    pass(1000);
    say("slept", {ms: 3_598_000});
    expect(given()).to.deep.equal({vectors: 2, ms: 2000 + 2000 + 1000});
  });
});

describe("the state that people see", () => {
  const shown = ({live}) => shownState({live}, live.workers.value[0]);
  const status = fields => ({status: {project: "p", state: "running", period: 1, iteration: 7, ...fields}});

  it("is one through all turns of an iteration", () => {
    const made = make();
    made.say("status", status());
    for (const state of ["ready", "working", "saturated", "ready"]) {
      made.workers({state, total: 5, iteration: 7, early: true});
      expect(shown(made)).to.equal("saturated");
      made.workers({state, total: 5, iteration: 7, early: false});
      expect(shown(made)).to.equal("working");
    }
  });

  it("is ready before the first iteration, and while the project rests", () => {
    const made = make();
    made.workers({state: "ready", total: 0, iteration: 0});
    expect(shown(made)).to.equal("ready");
    made.workers({state: "saturated", total: 5, iteration: 7});
    made.say("status", status({state: "paused"}));
    expect(shown(made)).to.equal("ready");
  });

  it("is a wait for its turn when iterations go by without it", () => {
    const made = make();
    made.workers({state: "ready", total: 5, iteration: 7});
    for (const [iteration, period, state] of [[9, 1, "working"], [10, 1, "turn"], [13, 0.2, "working"], [14, 0.2, "turn"]]) {
      made.say("status", status({iteration, period}));
      expect(shown(made)).to.equal(state);
    }
    made.workers({state: "working", total: 5, iteration: 14});
    expect(shown(made)).to.equal("working");
  });
});
