import {expect} from "/vendor/chai.js";
import {duration} from "/static/js/ui/format.js";
import {trainedFor} from "/static/js/ui/history.js";

const point = (iteration, seconds) => ({iteration, time: 1000 * iteration, error: 0.5, loss: 1, vectors: 9, power: 9, trainers: 1, ...(seconds && {seconds})});

describe("the time of training", () => {
  it("is the sum of all iterations, however long the pauses between them", () => {
    expect(trainedFor([point(1, 4), point(2, 4.4), point(3, 1)], 4)).to.be.closeTo(9.4, 1e-9);
    expect(trainedFor([], 4)).to.equal(0);
  });

  it("counts what was left out of a long history", () => {
    expect(trainedFor([point(10, 2), point(20, 2), point(30, 3)], 2)).to.equal(2 + 20 + 30);
  });

  it("takes a new iteration to be as long as the period", () => {
    expect(trainedFor([point(1, 4), point(3)], 5)).to.equal(4 + 10);
  });

  it("begins with the first iteration that is kept, after a reboot", () => {
    expect(trainedFor([point(501, 4), point(502, 4)], 4)).to.equal(8);
  });

  it("is written as one number", () => {
    const written = [0, 59.9, 99, 750, 5999, 11_520, 400_000].map(s => duration(s).replace("\u202f", " "));
    expect(written).to.deep.equal(["0 s", "59 s", "99 s", "12.5 min", "100.0 min", "3.2 h", "4.6 d"]);
  });
});
