/* The boss's side of the data worker: who wants which shards, and how far each is.
 *
 * Rules of this file:
 * - One data worker per browser, started with the first worker that needs data.
 * - Shards pass through by transfer; nothing is kept here.
 */

import {listen, send} from "./port.js";
import {reasons} from "./reasons.js";

const DEFAULT_QUOTA = 500_000_000; // bytes in IndexedDB: browsers allow at least 1 GB per site where they allow any

/** @typedef {{hash: string, pixels: Uint8Array, labels: Uint16Array, width: number, height: number, channels: number, downloaded: number}} Delivery */
/**
 * @typedef {object} Listener
 * @property {(worker: number, delivery: Delivery) => void} onShard
 * @property {(workers: number[], reason: string) => void} onTrouble a sentence for people; it is tried again
 * @property {(reason: string) => void} onFailed the data worker itself is lost
 */

export class Supply {
  /**
   * @param {() => import("./workers.js").WorkerEndpoint} startWorker
   * @param {string} base the data server's address
   * @param {Listener} listener
   */
  constructor(startWorker, base, listener) {
    this.startWorker = startWorker;
    this.base = base;
    this.listener = listener;
    /** @type {import("./workers.js").WorkerEndpoint | null} */
    this.endpoint = null;
    /** @type {Set<string>} what the cache held at the start and what came since */
    this.held = new Set();
    /** @type {string} why shards are kept only in memory, else empty */
    this.memoryOnly = "";
    /** @type {Promise<void>} the cache said what it holds */
    this.listed = Promise.resolve();
    this.quota = DEFAULT_QUOTA;
  }

  /** Start the data worker unless it runs. */
  start() {
    if (this.endpoint) return;
    const endpoint = (this.endpoint = this.startWorker());
    endpoint.onerror = event => this.failed(event.message ?? reasons.worker.noScript);
    this.listed = new Promise(resolve => {
      const handlers = {
        cached: (/** @type {any} */ message) => {
          this.memoryOnly = message.why;
          message.hashes.forEach((/** @type {string} */ hash) => this.held.add(hash));
          resolve();
        },
        shard: (/** @type {any} */ {worker, ...delivery}) => {
          this.held.add(delivery.hash);
          this.listener.onShard(worker, delivery);
        },
        trouble: (/** @type {any} */ {workers, reason}) => this.listener.onTrouble(workers, reason),
        cacheTrouble: (/** @type {any} */ {reason}) => void (this.memoryOnly = reason),
        failed: (/** @type {any} */ {reason}) => this.failed(reason),
      };
      listen(endpoint, handlers, error => this.failed(error.message));
    });
    send(endpoint, {type: "start", base: this.base, quota: this.quota});
  }

  /** @param {string} reason */
  failed(reason) {
    this.endpoint?.terminate();
    this.endpoint = null;
    this.listener.onFailed(reasons.data.stopped(reason));
  }

  /**
   * Replace what a worker wants.
   * @param {number} worker
   * @param {string[]} hashes
   */
  want(worker, hashes) {
    this.start();
    if (this.endpoint) send(this.endpoint, {type: "want", worker, hashes});
  }

  /** @param {number} bytes that shards may take in this browser */
  keep(bytes) {
    this.quota = bytes;
    if (this.endpoint) send(this.endpoint, {type: "quota", bytes});
  }

  /** @param {number} worker wants nothing any more */
  forget(worker) {
    if (this.endpoint) send(this.endpoint, {type: "forget", worker});
  }
}
