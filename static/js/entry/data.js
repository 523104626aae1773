/* The data worker: fetches, verifies, caches and unpacks shards for all workers of this browser.
 *
 * boss → here: start {base, quota}, want {worker, hashes}, forget {worker}, quota {bytes}.
 * here → boss: up once it listens (supervise.js), cached {hashes, kind, why} once, shard {worker, hash, width, height, channels, pixels, labels, downloaded},
 *              trouble {workers, hash, reason, retryMs}, cacheTrouble {reason}, failed {reason}.
 */

import {openCache} from "../cache.js";
import {bytesToHex, sha256} from "../hash.js";
import {listen, send} from "../port.js";
import {Shards} from "../shards.js";
import {unpack} from "../unpack.js";

/** @type {import("../port.js").Endpoint} */
const boss = /** @type {any} */ (self);

/** @type {(made: Shards) => void} */
let made;
/** @type {Promise<Shards>} the boss speaks on while the cache is still being opened */
const shards = new Promise(resolve => (made = resolve));

/** @type {import("../shards.js").Listener} */
const listener = {
  onShard(worker, hash, shard, downloaded) {
    const message = {type: "shard", worker, hash, ...shard, downloaded};
    send(boss, message, [shard.pixels.buffer, shard.labels.buffer]);
  },
  onTrouble: (workers, hash, reason, retryMs) => send(boss, {type: "trouble", workers, hash, reason, retryMs}),
  onCacheTrouble: reason => send(boss, {type: "cacheTrouble", reason}),
};

/** @param {{base: string, quota: number}} options */
async function start({base, quota}) {
  const cache = await openCache(self.indexedDB, quota, Date.now);
  const surroundings = {
    base,
    cache,
    unpack,
    fetch: self.fetch.bind(self),
    digest: (/** @type {Uint8Array} */ bytes) => bytesToHex(sha256(bytes)),
    later: self.setTimeout.bind(self),
    cancel: self.clearTimeout.bind(self),
    random: Math.random,
  };
  made(new Shards(surroundings, listener));
  send(boss, {type: "cached", hashes: cache.hashes(), kind: cache.kind, why: cache.why});
}

const handlers = {
  start,
  want: async (/** @type {{worker: number, hashes: string[]}} */ {worker, hashes}) => (await shards).want(worker, hashes),
  quota: async (/** @type {{bytes: number}} */ {bytes}) => (await shards).surroundings.cache.limit(bytes),
  forget: async (/** @type {{worker: number}} */ {worker}) => (await shards).forget(worker),
};
listen(boss, handlers, error => send(boss, {type: "failed", reason: error.message}));
send(boss, {type: "up"});
