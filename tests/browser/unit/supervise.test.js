import {expect} from "/vendor/chai.js";
import {AGAIN_MS, START_MS, supervise, TRIES} from "/static/js/supervise.js";
import {Clock} from "/unit/made.js";

class Made {
  sent = [];
  ended = false;
  postMessage(message) { this.sent.push(message); }
  terminate() { this.ended = true; }
}

function make() {
  const clock = new Clock(), made = [], heard = [];
  const worker = supervise(() => made[made.push(new Made()) - 1], clock, reason => ({type: "given", reason}));
  worker.addEventListener("message", ({data}) => heard.push(data));
  return {clock, made, heard, worker};
}

describe("a supervised worker", () => {
  it("hears what was said before its first word once it has spoken, in order", () => {
    const {made, heard, worker} = make();
    worker.postMessage({n: 1});
    worker.postMessage({n: 2});
    expect(made[0].sent).to.deep.equal([]);
    made[0].onmessage({data: "hello"});
    worker.postMessage({n: 3});
    expect(made[0].sent).to.deep.equal([{n: 1}, {n: 2}, {n: 3}]);
    expect(heard).to.deep.equal(["hello"]);
  });

  it("is started anew when it says nothing, and the new one hears everything", () => {
    const {clock, made, worker} = make();
    worker.postMessage({n: 1});
    clock.pass(START_MS);
    expect(made[0].ended).to.equal(true);
    clock.pass(AGAIN_MS);
    expect(made.length).to.equal(2);
    made[1].onmessage({data: "hello"});
    expect(made[1].sent).to.deep.equal([{n: 1}]);
    clock.pass(10 * START_MS);
    expect([made.length, made[1].ended]).to.deep.equal([2, false]);
  });

  it("says why when its script cannot be loaded, after as many tries as it has", () => {
    const {clock, made, heard} = make();
    for (let n = 1; n <= TRIES; n++) {
      expect(made.length).to.equal(n);
      made[n - 1].onerror({message: ""});
      clock.pass(AGAIN_MS * n);
    }
    clock.pass(100 * START_MS);
    expect(made.length).to.equal(TRIES);
    expect(heard).to.deep.equal([{type: "given", reason: "its script could not be loaded"}]);
  });

  it("leaves a worker alone that has spoken", () => {
    const {clock, made} = make();
    made[0].onmessage({data: "hello"});
    made[0].onerror({message: "a fault of its own"});
    clock.pass(10 * START_MS);
    expect([made.length, made[0].ended]).to.deep.equal([1, false]);
  });
});
