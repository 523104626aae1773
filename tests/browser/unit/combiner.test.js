import {expect} from "/vendor/chai.js";
import {Combiner, sum, usable} from "/static/js/combiner.js";

const answer = (worker, gradient, count = 1) => ({
  worker, count, loss: 0.5 * count, wrong: 0, ms: 10, gradient: gradient && Float32Array.from(gradient),
});

describe("combiner", () => {
  it("adds in float64 and rounds once", () => {
    const tiny = 2 ** -25; // alone too small to change 1 in float32
    expect(sum([[1], [tiny], [tiny], [tiny], [tiny]].map(v => Float32Array.from(v)))[0]).to.equal(1 + 2 ** -23);
  });

  it("adds in the order of the orders, not of the answers", () => {
    const vectors = {1: [1e8], 2: [1], 3: [-1e8]};
    const combiner = new Combiner(1, [1, 2, 3], 1);
    for (const worker of [3, 1, 2]) combiner.accept(answer(worker, vectors[worker]));
    const {results, vector} = combiner.finish();
    expect(results.map(result => result.worker)).to.deep.equal([1, 2, 3]);
    expect(vector[0]).to.equal(1);
  });

  it("takes what the master takes: finite, and not too large to be squared", () => {
    for (const value of [NaN, Infinity, -Infinity, 1e30, 1.9e19]) expect(usable(Float32Array.of(0, value, 1)), value).to.equal(false);
    expect(usable(Float32Array.of(0, 1.8e19, -1e-45))).to.equal(true);
    expect(usable(new Float32Array(4).fill(1e19)), "each alone would pass").to.equal(false);
  });

  it("leaves out and names the late, the not finite, the too large and the short", () => {
    const combiner = new Combiner(1, [1, 2, 3, 4, 5], 2);
    combiner.accept(answer(1, [1, NaN]));
    combiner.accept(answer(2, [1, 2]));
    combiner.accept(answer(3, [1]));
    combiner.accept(answer(5, [1e30, 0]));
    const {results, vector, leftOut} = combiner.finish();
    expect(results.map(result => result.worker)).to.deep.equal([2]);
    expect([...vector]).to.deep.equal([1, 2]);
    const why = "not finite, or too large to be squared";
    expect(leftOut).to.have.deep.members([
      {worker: 4, why: "late"}, {worker: 1, why}, {worker: 3, why: "of a wrong length"}, {worker: 5, why},
    ]);
  });

  it("leaves out who would make the sum too large for the master, even when each vector alone is not", () => {
    const combiner = new Combiner(1, [1, 2, 3], 1);
    combiner.accept(answer(1, [1.2e19]));
    combiner.accept(answer(2, [1.2e19]));
    combiner.accept(answer(3, [1]));
    const {vector, leftOut} = combiner.finish();
    expect([...vector]).to.deep.equal([1]);
    expect(leftOut.map(({worker}) => worker)).to.deep.equal([1, 2]);
  });

  it("has no vector when nobody computed anything", () => {
    const combiner = new Combiner(1, [1], 2);
    combiner.accept(answer(1, null, 0));
    expect(combiner.finish()).to.deep.equal({
      results: [{worker: 1, count: 0, loss: 0, wrong: 0, ms: 10}], vector: null, leftOut: [],
    });
  });

  it("awaits nobody who was dropped", () => {
    const combiner = new Combiner(1, [1, 2], 1);
    combiner.accept(answer(1, [1]));
    expect(combiner.complete).to.equal(false);
    combiner.drop(2);
    expect(combiner.complete).to.equal(true);
    expect(combiner.finish().leftOut).to.deep.equal([]);
  });
});
