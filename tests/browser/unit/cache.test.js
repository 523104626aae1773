import {expect} from "/vendor/chai.js";
import {MemoryCache, evictions, openCache} from "/static/js/cache.js";

const bytes = (size, value = 0) => new Uint8Array(size).fill(value).buffer;
let clock = 0;
const now = () => ++clock;
const wipe = () => new Promise((resolve, reject) => {
  const request = indexedDB.deleteDatabase("mlitb");
  request.onsuccess = resolve;
  request.onerror = reject;
});

/** Every rule holds for both kinds. */
for (const [kind, open] of [
  ["indexeddb", quota => openCache(indexedDB, quota, now)],
  ["memory", async quota => new MemoryCache(quota)],
]) {
  describe(`cache in ${kind}`, () => {
    let cache;
    const opened = async quota => (cache = await open(quota));
    afterEach(async () => {
      cache.database?.close();
      await wipe();
    });

    it("gives back what was put, and null for what was not", async () => {
      await opened(1000);
      expect(cache.kind).to.equal(kind);
      await cache.put("a", bytes(10, 7));
      expect([...new Uint8Array(await cache.get("a"))]).to.deep.equal(Array(10).fill(7));
      expect(await cache.get("b")).to.equal(null);
      expect(cache.hashes()).to.deep.equal(["a"]);
    });

    it("holds its quota: what was used longest ago goes first", async () => {
      await opened(100);
      for (const hash of ["a", "b", "c"]) await cache.put(hash, bytes(30));
      await cache.get("a");
      await cache.put("d", bytes(40));
      expect(cache.hashes().sort()).to.deep.equal(["a", "c", "d"]);
      expect(await cache.get("b")).to.equal(null);
    });

    it("keeps nothing that is larger than the quota", async () => {
      await opened(100);
      await cache.put("a", bytes(90));
      await cache.put("b", bytes(101));
      expect(cache.hashes()).to.deep.equal(["a"]);
    });

    it("shrinks at once when it is told to", async () => {
      await opened(100);
      for (const hash of ["a", "b", "c"]) await cache.put(hash, bytes(30));
      await cache.limit(60);
      expect(cache.hashes().sort()).to.deep.equal(["b", "c"]);
      await cache.put("d", bytes(60));
      expect(cache.hashes()).to.deep.equal(["d"]);
    });

    it("removes", async () => {
      await opened(100);
      await cache.put("a", bytes(10));
      await cache.remove("a");
      expect(await cache.get("a")).to.equal(null);
      expect(cache.hashes()).to.deep.equal([]);
    });
  });
}

describe("cache", () => {
  it("survives in IndexedDB and knows what it holds without reading it", async () => {
    const first = await openCache(indexedDB, 1000, now);
    await first.put("a", bytes(10, 3));
    first.database.close();
    const second = await openCache(indexedDB, 1000, now);
    expect(second.hashes()).to.deep.equal(["a"]);
    expect(new Uint8Array(await second.get("a"))[9]).to.equal(3);
    second.database.close();
    await wipe();
  });

  it("falls back to memory, and says why, where IndexedDB is refused", async () => {
    const refusing = {open: () => { throw new DOMException("The operation is insecure.", "SecurityError"); }};
    const cache = await openCache(refusing, 1000, now);
    expect(cache).to.include({kind: "memory", why: "The operation is insecure."});
    await cache.put("a", bytes(10));
    expect((await cache.get("a")).byteLength).to.equal(10);
    expect((await openCache(undefined, 1000, now)).why).to.match(/no IndexedDB/);
  });

  it("evicts no more than it must", () => {
    const entries = [{hash: "a", size: 10, used: 3}, {hash: "b", size: 10, used: 1}, {hash: "c", size: 10, used: 2}];
    expect(evictions(entries, 10, 40)).to.deep.equal([]);
    expect(evictions(entries, 10, 39)).to.deep.equal(["b"]);
    expect(evictions(entries, 20, 30)).to.deep.equal(["b", "c"]);
  });
});
