import {expect} from "/vendor/chai.js";
import {MemoryCache} from "/static/js/cache.js";
import {reasons} from "/static/js/reasons.js";
import {Shards} from "/static/js/shards.js";
import {unpack} from "/static/js/unpack.js";
import {Clock, digest, makeShard, until} from "/unit/made.js";

function make({shards = [], cache = new MemoryCache(1e9), fetch} = {}) {
  const clock = new Clock(), got = [], troubles = [], cacheTroubles = [], asked = [], open = [];
  const files = new Map(shards.map(shard => [shard.hash, shard.bytes]));
  const answer = async (url, options) => {
    asked.push({url, cache: options.cache});
    const bytes = files.get(url.match(/(\w+)\.zip$/)[1]);
    return bytes ? new Response(bytes.slice()) : new Response("", {status: 404});
  };
  const supply = new Shards(
    {
      base: "http://data.test", cache, digest, unpack, later: clock.later, cancel: clock.cancel, random: () => 1,
      fetch: (url, options) => (fetch ?? answer)(url, options, answer, open),
    },
    {
      onShard: (worker, hash, shard, downloaded) => got.push({worker, hash, shard, downloaded}),
      onTrouble: (workers, hash, reason, retryMs) => troubles.push({workers, hash, reason, retryMs}),
      onCacheTrouble: reason => cacheTroubles.push(reason),
    },
  );
  return {clock, got, troubles, cacheTroubles, asked, open, files, supply, cache};
}

describe("shards", () => {
  const [one, two] = [makeShard(), makeShard({seed: 1})];

  it("fetches, verifies, unpacks, keeps and hands out", async () => {
    const {supply, got, asked, cache} = make({shards: [one]});
    supply.want(5, [one.hash]);
    await until(() => got.length);
    expect(got[0]).to.deep.include({worker: 5, hash: one.hash, downloaded: one.bytes.length});
    expect([...got[0].shard.labels]).to.deep.equal(one.labels);
    expect(got[0].shard.pixels.length).to.equal(one.count * one.size);
    expect(asked).to.deep.equal([{url: `http://data.test/shards/${one.hash}.zip`, cache: "default"}]);
    expect(cache.hashes()).to.deep.equal([one.hash]);
  });

  it("fetches a shard that two workers want once, and gives each its own copy", async () => {
    const {supply, got, asked} = make({shards: [one]});
    supply.want(1, [one.hash]);
    supply.want(2, [one.hash]);
    await until(() => got.length === 2);
    expect(asked.length).to.equal(1);
    expect(got[0].shard.pixels.buffer).not.to.equal(got[1].shard.pixels.buffer);
    expect(got[0].shard.pixels).to.deep.equal(got[1].shard.pixels);
    expect(got.map(({downloaded}) => downloaded)).to.deep.equal([one.bytes.length, 0]);
  });

  it("asks the network for nothing that it holds", async () => {
    const cache = new MemoryCache(1e9);
    await cache.put(one.hash, one.bytes.buffer);
    const {supply, got, asked} = make({cache});
    supply.want(1, [one.hash]);
    await until(() => got.length);
    expect(asked).to.deep.equal([]);
    expect(got[0].downloaded).to.equal(0);
  });

  it("does not trust its cache: wrong bytes are fetched anew", async () => {
    const cache = new MemoryCache(1e9);
    await cache.put(one.hash, two.bytes.slice().buffer);
    const {supply, got, asked} = make({shards: [one], cache});
    supply.want(1, [one.hash]);
    await until(() => got.length);
    expect(asked.length).to.equal(1);
    expect(digest(new Uint8Array(await cache.get(one.hash)))).to.equal(one.hash);
  });

  it("refuses bytes that are not what the name says, keeps none of them, and asks past the browser's cache", async () => {
    const {supply, got, troubles, clock, files, asked, cache} = make();
    files.set(one.hash, two.bytes);
    supply.want(1, [one.hash]);
    await until(() => troubles.length);
    expect(troubles[0].reason).to.match(/other bytes than its name says/);
    expect(cache.hashes()).to.deep.equal([]);
    files.set(one.hash, one.bytes);
    clock.pass(troubles[0].retryMs);
    await until(() => got.length);
    expect(asked.map(({cache: mode}) => mode)).to.deep.equal(["default", "reload"]);
  });

  it("tries again after waits that double, and says what is wrong", async () => {
    const {supply, got, troubles, clock, files} = make();
    supply.want(1, [one.hash]);
    for (const [i, wait] of [500, 1000, 2000, 4000, 8000, 15000, 15000].entries()) {
      await until(() => troubles.length === i + 1);
      expect(troubles[i]).to.deep.include({workers: [1], hash: one.hash, retryMs: wait});
      expect(troubles[i].reason).to.match(/answers 404/);
      if (i === 6) files.set(one.hash, one.bytes);
      clock.pass(wait);
    }
    await until(() => got.length);
  });

  it("says when the data server cannot be reached", async () => {
    const {supply, troubles} = make({fetch: async () => { throw new TypeError("Failed to fetch"); }});
    supply.want(1, [one.hash]);
    await until(() => troubles.length);
    expect(troubles[0].reason).to.equal("the data server at http://data.test cannot be reached");
    expect(reasons.data.noServer("https://data.test")).to.match(/cannot be reached; if your browser warned about .* certificate/);
  });

  it("gives up on a connection that stands still", async () => {
    const fetch = (url, {signal}) => new Promise((_, reject) => {
      signal.onabort = () => reject(new DOMException("aborted", "AbortError"));
    });
    const {supply, troubles, clock} = make({fetch});
    supply.want(1, [one.hash]);
    await until(() => clock.timers.length);
    clock.pass(60_000);
    await until(() => troubles.length);
    expect(troubles[0].reason).to.match(/cannot be reached/);
  });

  it("runs several at once, but no more than its bound, in the order asked for", async () => {
    const many = Array.from({length: 9}, (_, seed) => makeShard({seed, count: 2}));
    const {supply, got, open} = make({
      shards: many,
      fetch: (url, options, answer, waiting) => new Promise(resolve => waiting.push(() => resolve(answer(url, options)))),
    });
    supply.want(1, many.map(shard => shard.hash));
    await until(() => open.length === 4);
    expect(supply.running).to.equal(4);
    for (let done = 1; done <= many.length; done++) {
      open.shift()();
      await until(() => got.length === done);
      expect(supply.running).to.be.at.most(4);
      await until(() => open.length === Math.min(4, many.length - done));
    }
    expect(got.map(({hash}) => hash)).to.deep.equal(many.map(({hash}) => hash));
  });

  it("drops what nobody wants any more", async () => {
    const {supply, troubles, clock, got, asked} = make();
    supply.want(1, [one.hash]);
    await until(() => troubles.length);
    supply.want(1, []);
    clock.pass(100_000);
    expect(asked.length).to.equal(1);
    expect(got).to.deep.equal([]);
    expect(supply.wants.size).to.equal(0);
  });

  it("goes on without a cache that refuses", async () => {
    const cache = new MemoryCache(1e9);
    cache.put = async () => { throw new DOMException("The quota is exceeded.", "QuotaExceededError"); };
    const {supply, got, cacheTroubles} = make({shards: [one], cache});
    supply.want(1, [one.hash]);
    await until(() => got.length);
    expect(cacheTroubles).to.deep.equal(["The quota is exceeded."]);
  });

  it("says what is wrong with a shard that is no shard", async () => {
    const odd = [
      [makeShard({change: {files: {"0003.png": new Uint8Array(9)}}}), /./],
      [makeShard({change: {manifest: {width: 9}}}), /0000.png is 8×8×1, 8 bits; its shard says 9×8×1/],
      [makeShard({change: {manifest: {labels: Array(21).fill(0)}}}), /21 pictures without 0020.png/],
    ];
    for (const [shard, reason] of odd) {
      const {supply, troubles} = make({shards: [shard]});
      supply.want(1, [shard.hash]);
      await until(() => troubles.length);
      expect(troubles[0].reason).to.match(reason);
    }
  });
});

describe("unpack", () => {
  it("gives pixels as [vector][y][x][channel], grey and colour", () => {
    for (const channels of [1, 3]) {
      const shard = makeShard({count: 3, width: 4, height: 2, channels, seed: 5});
      const {pixels, width, height} = unpack(shard.bytes);
      expect({width, height}).to.deep.equal({width: 4, height: 2});
      const size = 8 * channels;
      for (let i = 0; i < 3; i++) for (let p = 0; p < size; p++)
        expect(pixels[i * size + p]).to.equal((i * 31 + 35 + p * ((i % 2) + 1)) % 256);
    }
  });
});
