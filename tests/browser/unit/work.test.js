import {expect} from "/vendor/chai.js";
import {Permutation, Stream, keyed, members} from "/static/js/work.js";

describe("work", () => {
  let golden;
  before(async () => {
    golden = await (await fetch("/golden/work.json")).json();
  });

  it("mixes numbers as Python does", () => {
    for (const {parts, value} of golden.keyed) expect(keyed(...parts)).to.equal(value);
  });

  it("permutes as Python does", () => {
    for (const {seed, turn, size, values} of golden.permutations) {
      const permutation = new Permutation(seed, turn, size);
      expect(values.map((_, position) => permutation.at(position))).to.eql(values);
    }
  });

  it("walks orders as Python does", () => {
    for (const {shards, seed, cursor, count, size, vectors} of golden.orders) {
      const stream = new Stream(shards, seed);
      expect(stream.size).to.equal(size);
      expect([...stream.take(cursor, count)].map(({piece, index, key}) => [piece, index, key])).to.eql(vectors);
    }
  });

  it("walks on through the rounds as Python does", () => {
    for (const {orders: place, cursor, count, vectors} of golden.walks) {
      const {shards, seed} = golden.orders[place];
      const walk = new Stream(shards, seed).walk(cursor);
      const taken = Array.from({length: count}, () => walk.next().value);
      expect(taken.map(({piece, index, key}) => [piece, index, key])).to.eql(vectors);
    }
  });

  it("uses each vector of a shard's stride once in an order, wherever the cursor stands", () => {
    const stream = new Stream([{hash: "0".repeat(64), count: 100, offset: 2, step: 3}], 5);
    const seen = [...stream.take(1_000_003, stream.size)].map(({index}) => index).sort((a, b) => a - b);
    expect(seen).to.eql(Array.from({length: members(100, 2, 3)}, (_, i) => 2 + 3 * i));
  });

  it("refuses more than once round", () => {
    expect(() => [...new Stream([{hash: "0".repeat(64), count: 5, offset: 0, step: 1}], 5).take(0, 6)]).to.throw("6 vectors of 5");
  });
});
