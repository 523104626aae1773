import {expect} from "/vendor/chai.js";
import {bestOf, countsOf, namesOf, sixDigits, tableOf} from "/static/js/ui/classify/table.js";
import {admitted, cleaned, counted, labelProblem} from "/static/js/ui/classify/teaching.js";
import {channelsOf, filtersOf, paintTile} from "/static/js/ui/classify/tiles.js";

const row = (name, ...probabilities) => ({name, iteration: 1, probabilities: Float32Array.from(probabilities)});

describe("the classify page's tables", () => {
  it("writes numbers as C's %.6g does", () => {
    const written = [0, 1, 0.5, 1 / 3, 0.0001, 0.00001234567, 1e-10, 123456.7, 1234567, 0.999999999].map(sixDigits);
    expect(written).to.deep.equal(["0", "1", "0.5", "0.333333", "0.0001", "1.23457e-05", "1e-10", "123457", "1.23457e+06", "1"]);
  });

  it("has a row for each picture and a column for each output", () => {
    const rows = [row("a, b.png", 0.25, 0.75), row("c.png", 0.5, 0.25, 0.25)];
    expect(tableOf(rows, ["x", 'y"'])).to.equal(
      'picture,label,probability,x,"y""",output 2\n"a, b.png","y""",0.75,0.25,0.75,\nc.png,x,0.5,0.5,0.25,0.25\n',
    );
    expect(countsOf([...rows, row("d", 0.9, 0.1)], ["x", "y"])).to.deep.equal([["x", 2], ["y", 1]]);
    expect(namesOf(["x"], 2)).to.deep.equal(["x", "output 1"]);
    expect(bestOf(Float32Array.of(0.2, 0.4, 0.4))).to.equal(1);
  });
});

describe("the classify page's tiles", () => {
  it("takes a layer apart by channels", () => {
    const {tiles, low, high} = channelsOf({name: "conv1", shape: [1, 2, 2], values: Float32Array.of(1, -2, 3, 4)});
    expect(tiles.map(({values}) => [...values])).to.deep.equal([[1, 3], [-2, 4]]);
    expect([low, high, tiles[0].width, tiles[0].height]).to.deep.equal([-2, 4, 2, 1]);
  });

  it("lays filters over the picture, of convolutions and of fully connected layers, grey and colour", () => {
    const weights = Float32Array.from({length: 2 * 1 * 3 * 2}, (_, i) => i); // [y][x][in][out]
    const colour = filtersOf({name: "conv1.weights", shape: [2, 1, 3, 2], values: weights}, {width: 9, height: 9, channels: 3, mode: "crop"});
    expect(colour.tiles.map(({values}) => [...values])).to.deep.equal([[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]);
    const full = filtersOf({name: "fully_connected1.weights", shape: [2, 2], values: Float32Array.of(1, 2, 3, 4)}, {width: 2, height: 1, channels: 1, mode: "crop"});
    expect(full.tiles.map(({values}) => [...values])).to.deep.equal([[1, 2], [3, 4]]);
  });

  it("paints a value's sign by colour and its size by cover, and colour filters around grey", () => {
    const tile = {width: 3, height: 1, channels: 1, values: Float32Array.of(-2, 0, 1)};
    expect([...paintTile(tile, 2, [1, 2, 3], [4, 5, 6])]).to.deep.equal([1, 2, 3, 255, 4, 5, 6, 0, 4, 5, 6, 128]);
    const colour = {width: 1, height: 1, channels: 3, values: Float32Array.of(-1, 0, 1)};
    expect([...paintTile(colour, 1, [1, 2, 3], [4, 5, 6])]).to.deep.equal([0, 128, 255, 255]);
    expect([...paintTile({...tile, values: new Float32Array(3)}, 0, [1, 2, 3], [4, 5, 6])].filter((_, i) => i % 4 === 3)).to.deep.equal([0, 0, 0]);
  });
});

describe("the classify page's teaching", () => {
  it("takes labels that can be folders", () => {
    expect(cleaned("  Fiddle \t heads ")).to.equal("Fiddle heads");
    expect(labelProblem("Fiddle heads")).to.equal("");
    for (const wrong of ["", "a/b", "a\\b", ".hidden", "é".repeat(101)]) expect(labelProblem(wrong), wrong).to.match(/./);
  });

  it("knows since when pictures train", () => {
    const examples = ["a", "b", "a"].map((label, number) => ({label, number, file: new Blob()}));
    const taught = counted([], examples, 103);
    expect(taught).to.deep.equal([{label: "a", added: 2, goal: 103, since: -1}, {label: "b", added: 1, goal: 103, since: -1}]);
    expect(admitted(taught, {data_vectors: 102, iteration: 7})).to.deep.equal(taught);
    const training = admitted(taught, {data_vectors: 103, iteration: 8});
    expect(training.map(({since}) => since)).to.deep.equal([8, 8]);
    expect(counted(training, examples.slice(0, 1), 104)[0]).to.deep.equal({label: "a", added: 3, goal: 104, since: -1});
  });
});
