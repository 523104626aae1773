/* The supply of shards: fetched once per browser, verified, cached, unpacked, handed out.
 *
 * Rules of this file:
 * - Each wanted shard is fetched at most once at a time, in the order asked for, several in parallel with a bound.
 * - Bytes count only when their SHA-256 is the shard's name, from the network and from the cache alike.
 * - A failure is told and tried again, after a wait that grows, for as long as somebody wants the shard.
 * - Every worker that wants a shard gets a copy of its own, to keep: pixels travel by transfer.
 */

import {reasons} from "./reasons.js";

const PARALLEL = 4; // of the six connections that browsers allow per host
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;
const FETCH_MS = 60_000; // a shard is at most 1 MB: slower than 17 KB/s is no link to train on

/** @typedef {import("./unpack.js").Unpacked} Unpacked */
/** @typedef {{hash: string, workers: Set<number>, attempts: number, state: "queued" | "running" | "resting"}} Want */
/**
 * @typedef {object} Surroundings
 * @property {string} base the data server's address
 * @property {import("./cache.js").Cache} cache
 * @property {(url: string, options: RequestInit) => Promise<Response>} fetch
 * @property {(bytes: Uint8Array) => string} digest SHA-256 in hex
 * @property {(bytes: Uint8Array) => Unpacked} unpack
 * @property {(work: () => void, ms: number) => any} later
 * @property {(timer: any) => void} cancel
 * @property {() => number} random in [0, 1)
 */
/**
 * @typedef {object} Listener
 * @property {(worker: number, hash: string, shard: Unpacked, downloaded: number) => void} onShard
 * @property {(workers: number[], hash: string, reason: string, retryMs: number) => void} onTrouble
 * @property {(reason: string) => void} onCacheTrouble the cache refused; what was fetched is used all the same
 */

export class Shards {
  /**
   * @param {Surroundings} surroundings
   * @param {Listener} listener
   */
  constructor(surroundings, listener) {
    this.surroundings = surroundings;
    this.listener = listener;
    /** @type {Map<string, Want>} in the order asked for */
    this.wants = new Map();
    this.running = 0;
  }

  /**
   * Replace what a worker wants.
   * @param {number} worker
   * @param {string[]} hashes
   */
  want(worker, hashes) {
    this.forget(worker);
    for (const hash of hashes) {
      const want = this.wants.get(hash) ?? {hash, workers: new Set(), attempts: 0, state: "queued"};
      want.workers.add(worker);
      this.wants.set(hash, want);
    }
    this.pump();
  }

  /** @param {number} worker wants nothing any more */
  forget(worker) {
    for (const want of this.wants.values()) {
      want.workers.delete(worker);
      if (!want.workers.size && want.state !== "running") this.wants.delete(want.hash);
    }
  }

  /** Start as many as may run. */
  pump() {
    for (const want of this.wants.values()) {
      if (this.running >= PARALLEL) return;
      if (want.state === "queued" && want.workers.size) this.run(want);
    }
  }

  /** @param {Want} want */
  async run(want) {
    want.state = "running";
    this.running += 1;
    try {
      const {bytes, downloaded} = await this.obtain(want);
      this.wants.delete(want.hash);
      this.handOut(want, this.surroundings.unpack(bytes), downloaded);
    } catch (error) {
      this.rest(want, error instanceof Error ? error.message : String(error));
    }
    this.running -= 1;
    this.pump();
  }

  /**
   * @param {Want} want
   * @param {Unpacked} shard
   * @param {number} downloaded bytes from the network
   */
  handOut(want, shard, downloaded) {
    const workers = [...want.workers];
    workers.forEach((worker, i) => {
      const last = i === workers.length - 1;
      const own = last ? shard : {...shard, pixels: shard.pixels.slice(), labels: shard.labels.slice()};
      this.listener.onShard(worker, want.hash, own, i ? 0 : downloaded);
    });
  }

  /**
   * Tell of a failure and try again later.
   * @param {Want} want
   * @param {string} reason
   */
  rest(want, reason) {
    const {random, later} = this.surroundings;
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** want.attempts);
    const wait = Math.round(longest * (0.5 + 0.5 * random()));
    want.attempts += 1;
    want.state = "resting";
    this.wants.set(want.hash, want);
    if (!want.workers.size) this.wants.delete(want.hash);
    else this.listener.onTrouble([...want.workers], want.hash, reason, wait);
    later(() => {
      want.state = "queued";
      this.pump();
    }, wait);
  }

  /**
   * Find a shard's bytes, in the cache or at the data server.
   * @param {Want} want
   * @returns {Promise<{bytes: Uint8Array, downloaded: number}>}
   */
  async obtain(want) {
    const {cache, digest} = this.surroundings;
    const kept = await cache.get(want.hash).catch(error => this.cacheTrouble(error));
    if (kept) {
      const bytes = new Uint8Array(kept);
      if (digest(bytes) === want.hash) return {bytes, downloaded: 0};
      await cache.remove(want.hash).catch(error => this.cacheTrouble(error));
    }
    const bytes = new Uint8Array(await this.download(want));
    if (digest(bytes) !== want.hash)
      throw new Error(reasons.data.otherBytes(want.hash));
    // Nobody waits for the disk: the trainer may begin before the shard is kept.
    cache.put(want.hash, /** @type {ArrayBuffer} */ (bytes.buffer)).catch(error => this.cacheTrouble(error));
    return {bytes, downloaded: bytes.byteLength};
  }

  /**
   * @param {unknown} error
   * @returns {null}
   */
  cacheTrouble(error) {
    this.listener.onCacheTrouble(error instanceof Error ? error.message : String(error));
    return null;
  }

  /**
   * @param {Want} want
   * @returns {Promise<ArrayBuffer>}
   */
  async download({hash, attempts}) {
    const {base, later, cancel} = this.surroundings;
    const stop = new AbortController();
    const timer = later(() => stop.abort(), FETCH_MS);
    try {
      // After a failure past the browser's own cache: it may hold the wrong bytes.
      const options = {signal: stop.signal, cache: /** @type {RequestCache} */ (attempts ? "reload" : "default")};
      const response = await this.surroundings.fetch(`${base}/shards/${hash}.zip`, {...options, credentials: "omit"});
      if (!response.ok) throw new Error(reasons.data.answers(response.status, hash));
      return await response.arrayBuffer();
    } catch (error) {
      if (!(error instanceof TypeError) && !stop.signal.aborted) throw error;
      throw new Error(reasons.data.noServer(base));
    } finally {
      cancel(timer);
    }
  }
}
