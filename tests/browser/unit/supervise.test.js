import {expect} from "/vendor/chai.js";
import {AGAIN_MS, START_MS, supervise, TRIES} from "/static/js/supervise.js";
import {Clock} from "/unit/made.js";

class Made {
  sent = [];
  ended = false;
  postMessage(message, transfer) { this.sent.push([message, ...transfer]); }
  terminate() { this.ended = true; }
}

function make() {
  const clock = new Clock(), made = [], heard = [], errors = [];
  const worker = supervise(() => made[made.push(new Made()) - 1], clock);
  worker.onmessage = ({data}) => heard.push(data);
  worker.onerror = ({message}) => errors.push(message);
  return {clock, made, heard, errors, worker};
}

describe("a supervised worker", () => {
  it("hears what was said before its first word once it has spoken, in order", () => {
    const {made, heard, worker} = make();
    const buffer = new ArrayBuffer(8);
    worker.postMessage({n: 1}, [buffer]);
    worker.postMessage({n: 2});
    expect(made[0].sent).to.deep.equal([]);
    made[0].onmessage({data: {type: "hello"}});
    worker.postMessage({n: 3});
    expect(made[0].sent).to.deep.equal([[{n: 1}, buffer], [{n: 2}], [{n: 3}]]);
    expect(heard).to.deep.equal([{type: "hello"}]);
  });

  it("keeps a first word to itself that says only that it is up", () => {
    const {made, heard, worker} = make();
    worker.postMessage({n: 1});
    made[0].onmessage({data: {type: "up"}});
    expect(made[0].sent).to.deep.equal([[{n: 1}]]);
    expect(heard).to.deep.equal([]);
  });

  it("is started anew when it says nothing, and the new one hears everything", () => {
    const {clock, made, errors, worker} = make();
    worker.postMessage({n: 1});
    clock.pass(START_MS);
    expect(made[0].ended).to.equal(true);
    clock.pass(AGAIN_MS);
    expect(made.length).to.equal(2);
    made[0].onmessage({data: {type: "up"}}); // what was given up has no say any more
    expect(made[1].sent).to.deep.equal([]);
    made[1].onmessage({data: {type: "up"}});
    expect(made[1].sent).to.deep.equal([[{n: 1}]]);
    clock.pass(10 * START_MS);
    expect([made.length, made[1].ended, errors]).to.deep.equal([2, false, []]);
  });

  it("says why when its script cannot be loaded, after as many tries as it has", () => {
    const {clock, made, errors} = make();
    for (let n = 1; n <= TRIES; n++) {
      expect([made.length, errors]).to.deep.equal([n, []]);
      made[n - 1].onerror({message: `failure ${n}`});
      clock.pass(AGAIN_MS * n);
    }
    clock.pass(100 * START_MS);
    expect([made.length, errors]).to.deep.equal([TRIES, [`failure ${TRIES}`]]);
  });

  it("leaves a worker alone that has spoken, and passes its errors on", () => {
    const {clock, made, errors} = make();
    made[0].onmessage({data: {type: "up"}});
    made[0].onerror({message: "a fault of its own"});
    clock.pass(10 * START_MS);
    expect([made.length, made[0].ended, errors]).to.deep.equal([1, false, ["a fault of its own"]]);
  });

  it("ends for good, also between two starts", () => {
    const {clock, made, worker} = make();
    clock.pass(START_MS);
    worker.terminate();
    clock.pass(10 * START_MS);
    expect(made.length).to.equal(1);
  });
});
