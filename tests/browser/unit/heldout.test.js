import {expect} from "/vendor/chai.js";
import {frequent, gridOf} from "/static/js/ui/statistics/confusion.js";
import {sorted} from "/static/js/ui/statistics/labels.js";
import {moved} from "/static/js/ui/statistics/matrix.js";
import {imageOf} from "/static/js/ui/statistics/worst.js";
import {bestOf, extendTests, stalled, withTests} from "/static/js/ui/tests.js";

const test = (iteration, error) => ({iteration, time: iteration, error, loss: 2 * error, count: 10});
const point = iteration => ({iteration, time: 100 + iteration, error: 0.5, loss: 1, vectors: 3, power: 1, trainers: 1});
const run = errors => errors.map((error, i) => test(10 * i, error));

describe("the curve on the test set", () => {
  it("stands between the points of the training, at the iterations done before it", () => {
    const points = [point(1), point(2), point(4)];
    const merged = withTests(points, [test(0, 0.9), test(2, 0.8), test(5, 0.7)]);
    expect(merged.map(({iteration}) => iteration)).to.deep.equal([0, 1, 2, 4, 5]);
    expect(merged.map(({test_error}) => test_error)).to.deep.equal([0.9, undefined, 0.8, undefined, 0.7]);
    expect(merged[2]).to.include({error: 0.5, test_loss: 1.6, time: 102});
    expect(merged[4]).to.include({error: -1, vectors: 0});
    expect(withTests(points, [])).to.equal(points);
  });

  it("is appended from live status, once an evaluation", () => {
    const status = {test_iteration: 7, test_error: 0.25, test_loss: 0.5, test_vectors: 10};
    const tests = extendTests([test(3, 0.5)], status, 9);
    expect(tests[1]).to.deep.equal({iteration: 7, time: 9, error: 0.25, loss: 0.5, count: 10});
    expect(extendTests(tests, status, 10)).to.equal(tests);
    expect(extendTests(tests, {...status, test_iteration: -1}, 10)).to.equal(tests);
  });

  it("has its best at the first of the lowest", () => {
    expect(bestOf(run([0.5, 0.2, 0.3, 0.2]))?.iteration).to.equal(10);
    expect(bestOf([])).to.equal(undefined);
  });

  it("has stopped improving after twenty evaluations and a third of the training without a new lowest", () => {
    const falling = Array.from({length: 30}, (_, i) => 0.9 - 0.01 * i);
    expect(stalled(run(falling))).to.equal(null);
    expect(stalled(run([...falling, ...Array(19).fill(0.62)]))).to.equal(null, "too few evaluations");
    const found = stalled(run([...falling, ...Array(20).fill(0.62)]));
    expect(found).to.deep.include({since: 200});
    expect(found?.best.iteration).to.equal(290);
    const long = Array.from({length: 300}, (_, i) => 0.9 - 0.001 * i);
    expect(stalled(run([...long, ...Array(100).fill(0.7)]))).to.equal(null, "less than a third of a long training");
    expect(stalled(run([...long, ...Array(160).fill(0.7)]))).to.not.equal(null);
    expect(stalled(run([0.5, ...Array(50).fill(0)]))).to.equal(null, "no error cannot fall");
    expect(stalled([])).to.equal(null);
  });
});

describe("the statistics page", () => {
  const report = {labels: ["a", "b"], confusion: [[3, 1, 2], [4, 5, 0], [0, 0, 0]]};

  it("shows labels alone, and knows what spare outputs answered", () => {
    expect(gridOf(report)).to.deep.equal({labels: ["a", "b"], matrix: [[3, 1], [4, 5]], totals: [6, 9]});
    expect(frequent(gridOf(report))).to.deep.equal([{row: 1, column: 0, n: 4}, {row: 0, column: 1, n: 1}]);
  });

  it("moves through cells by arrow keys, and not over the edge", () => {
    expect(moved("ArrowDown", null, 1)).to.deep.equal([0, 0]);
    expect(moved("ArrowDown", [0, 1], 1)).to.deep.equal([1, 1]);
    expect(moved("ArrowRight", [1, 1], 1)).to.deep.equal([1, 1]);
    expect(moved("ArrowUp", [0, 1], 1)).to.deep.equal([0, 1]);
    expect(moved("Tab", [0, 1], 1)).to.equal(null);
  });

  it("sorts labels by any column, and keeps their order where they are equal", () => {
    const scores = [["a", 0.5], ["b", 0.1], ["c", 0.5]].map(([label, recall]) => ({label, recall, precision: 1, f1: 1, support: 1, takenFor: ""}));
    const names = (column, down) => sorted(scores, column, down).map(({label}) => label).join("");
    expect([names("label", false), names("label", true), names("recall", false), names("recall", true)]).to.deep.equal(["abc", "cba", "bac", "cab"]);
    expect(scores.map(({label}) => label).join("")).to.equal("abc");
  });

  it("draws pictures of one channel as grey, and of three as they are", () => {
    expect([...imageOf(Uint8Array.of(7, 9), {width: 2, height: 1, channels: 1}).data]).to.deep.equal([7, 7, 7, 255, 9, 9, 9, 255]);
    expect([...imageOf(Uint8Array.of(1, 2, 3), {width: 1, height: 1, channels: 3}).data]).to.deep.equal([1, 2, 3, 255]);
  });
});
