/* One worker of this browser, as the boss sees it: its Web Worker, its shards, its figures.
 *
 * Rules of this file:
 * - It speaks to its Web Worker and keeps what the page shows; what the master is told is the boss's affair.
 * - Messages wait, in order, until the engine is compiled; then they go out as they come.
 * - At most two orders are unanswered and the newest waits here: before a trainer that is stuck nothing piles up.
 */

import {listen, send} from "./port.js";
import {reasons} from "./reasons.js";

const MOST_UNANSWERED = 2;
const SMOOTHING = 0.3; // of a new power figure against the old one

/** @typedef {import("./port.js").Endpoint & {onerror: ((event: any) => void) | null, terminate(): void}} WorkerEndpoint */
/** @typedef {"starting" | "waiting" | "joining" | "ready" | "working" | "saturated" | "paused" | "silent" | "failed"} State */
/** @typedef {{capacityVectors: number, capacityBytes: number, intensity: number, paused: boolean}} Wish */
/** @typedef {import("./project.js").Parameters} Parameters */
/** @typedef {import("./protocol.js").Shard} Shard */

export class LocalWorker {
  /**
   * @param {number} number this browser's own, never used twice
   * @param {string} project
   * @param {string} role
   * @param {Wish} wish
   */
  constructor(number, project, role, wish) {
    this.number = number;
    this.project = project;
    this.role = role;
    this.wish = wish;
    /** @type {WorkerEndpoint | null} */
    this.endpoint = null;
    /** @type {Promise<void>} what was posted so far */
    this.posted = Promise.resolve();
    /** @type {State} */
    this.state = "waiting";
    this.reason = "";
    this.advice = ""; // the master's, for its user
    this.restarts = 0;
    this.joined = false; // told to the master over this connection
    this.unanswered = 0; // orders
    this.late = false; // its time ran out, and it has not answered since
    /** @type {{order: any, parameters: Parameters} | null} the newest order, while too many are unanswered */
    this.deferred = null;
    /** @type {Parameters | null} one who only looks: the snapshot that it has */
    this.seen = null;
    /** @type {Parameters | null} and the newest, for when it is free */
    this.newest = null;
    this.assignment = -1;
    /** @type {Shard[]} */
    this.shards = [];
    /** @type {Set<string>} shards that the Web Worker holds, unpacked */
    this.loaded = new Set();
    this.early = false; // its last answer came before its time was up: it had used all that it was allowed
    this.figures = {iteration: 0, count: 0, total: 0, power: 0, ms: 0, budgetMs: 0, latencyMs: 0, downloadedBytes: 0};
  }

  /**
   * Start the Web Worker.
   * @param {WorkerEndpoint} endpoint
   * @param {Promise<WebAssembly.Module>} engine
   * @param {import("./port.js").Handlers} handlers of its messages
   * @param {(reason: string) => void} onFailed
   */
  start(endpoint, engine, handlers, onFailed) {
    this.endpoint = endpoint;
    this.joined = false;
    this.unanswered = 0;
    this.late = false;
    this.deferred = null;
    this.seen = null;
    this.loaded.clear();
    const fail = (/** @type {string} */ reason) => void (this.endpoint === endpoint && onFailed(reason));
    listen(endpoint, handlers, error => fail(error.message));
    endpoint.onerror = event => fail(event.message ?? reasons.worker.noScript);
    this.posted = engine.then(
      module => send(endpoint, {type: "start", module, role: this.role}),
      error => fail(error.message),
    );
  }

  /** End the Web Worker; the record may start another. */
  stop() {
    this.endpoint?.terminate();
    this.endpoint = null;
    this.loaded.clear();
  }

  /**
   * @param {import("./port.js").Message} message
   * @param {Transferable[]} [transfer]
   */
  post(message, transfer = []) {
    const endpoint = this.endpoint;
    this.posted = this.posted.then(() => {
      if (endpoint && endpoint === this.endpoint) send(endpoint, message, transfer);
    });
  }

  /**
   * Take a new assignment.
   * @param {{assignment: number, shards: Shard[]}} assign
   * @returns {{held: string[], missing: string[]}} what it holds of it already, and what must be brought
   */
  assign({assignment, shards}) {
    this.assignment = assignment;
    this.shards = shards;
    const wanted = new Set(shards.map(shard => shard.hash));
    for (const hash of this.loaded) if (!wanted.has(hash)) this.loaded.delete(hash);
    this.post({type: "assign", assignment, shards});
    const hashes = [...wanted];
    const held = hashes.filter(hash => this.loaded.has(hash));
    this.settle();
    return {held, missing: hashes.filter(hash => !this.loaded.has(hash))};
  }

  /**
   * Change what it may give.
   * @param {Partial<Wish>} wish
   * @returns {Wish} the whole of it
   */
  tune(wish) {
    const known = Object.entries(wish).filter(([name, value]) => name in this.wish && value !== undefined);
    const paused = this.wish.paused;
    Object.assign(this.wish, Object.fromEntries(known));
    if (this.wish.paused && !paused) this.post({type: "stop"});
    if (this.wish.paused !== paused) this.settle();
    return this.wish;
  }

  /**
   * @param {number} latencyMs as the master measures it
   * @param {string} advice of the master, or empty
   * @returns {boolean} whether there is something new to show
   */
  advise(latencyMs, advice) {
    const news = latencyMs !== this.figures.latencyMs || advice !== this.advice;
    this.figures.latencyMs = latencyMs;
    this.advice = advice;
    return news;
  }

  /** Find the state that follows from what it holds. */
  settle() {
    if (this.wish.paused) this.state = "paused";
    else if (this.role !== "trainer" && this.role !== "statistics") this.state = "ready";
    else if (!this.shards.length) this.state = "waiting";
    else this.state = this.loaded.size ? "ready" : "joining";
    if (this.state === "ready" || this.state === "joining") this.reason = "";
  }

  /**
   * Give the Web Worker a shard.
   * @param {import("./supply.js").Delivery} delivery
   */
  deliver({hash, pixels, labels, downloaded}) {
    this.figures.downloadedBytes += downloaded;
    this.post({type: "shard", hash, pixels, labels}, [pixels.buffer, labels.buffer]);
  }

  /**
   * The Web Worker holds a shard now.
   * @param {string} hash
   * @returns {boolean} whether it is one of the newest assignment
   */
  hold(hash) {
    if (!this.shards.some(shard => shard.hash === hash)) return false;
    this.loaded.add(hash);
    if (this.state === "joining" || this.state === "waiting") this.settle();
    return true;
  }

  /**
   * Give an order, with a copy of the parameters; it waits here while too many are unanswered.
   * @param {import("./protocol.js").Order} order
   * @param {Parameters} parameters
   */
  order(order, parameters) {
    if (this.unanswered >= MOST_UNANSWERED) {
      this.deferred = {order, parameters};
      return;
    }
    const {iteration, version, vector} = parameters;
    this.unanswered += 1;
    if (!this.late) this.state = "working";
    this.figures.iteration = iteration;
    this.figures.budgetMs = order.until_ms;
    const own = vector.slice();
    this.post({type: "order", iteration, version, order, parameters: own}, [own.buffer]);
  }

  /**
   * Show a snapshot to one who only looks: now if it is free, else when it is, and then the newest only.
   * @param {Parameters} parameters
   * @returns {boolean} false: it has seen these, and has nothing to do
   */
  snapshot(parameters) {
    this.newest = parameters;
    if (this.unanswered || this.wish.paused) return true;
    if (this.seen && same(this.seen, parameters)) return false;
    this.seen = parameters;
    this.unanswered = 1;
    this.state = "working";
    this.figures.iteration = parameters.iteration;
    const vector = parameters.vector.slice();
    this.post({type: "parameters", iteration: parameters.iteration, version: parameters.version, vector}, [vector.buffer]);
    return true;
  }

  /**
   * It has done with its snapshot.
   * @returns {boolean} whether a newer one was here already
   */
  free() {
    this.unanswered = 0;
    this.settle();
    if (this.newest) this.snapshot(this.newest);
    return this.unanswered > 0;
  }

  /**
   * Pass a question on; the answer goes to the page.
   * @param {import("./port.js").Message} question
   */
  ask({type, what, ...question}) {
    if (!this.endpoint) throw new Error(`worker ${this.number} does not run: ${this.reason}`);
    this.post({type: what, ...question}, question.pixels ? [question.pixels.buffer] : []);
  }

  /**
   * Its answer will not be waited for.
   * @param {string} why
   * @param {boolean} late its time ran out
   */
  leaveOut(why, late) {
    this.state = "silent";
    this.reason = why;
    this.late ||= late;
    this.deferred = null;
  }

  /**
   * Note an answer of the Web Worker.
   * @param {{count: number, ms: number, all: boolean}} answer `all`: it has used all that it was allowed
   */
  answered({count, ms, all}) {
    this.unanswered = Math.max(0, this.unanswered - 1);
    this.late = false;
    this.figures.count = count;
    this.figures.total += count;
    this.figures.ms = ms;
    this.early = all;
    if (count && ms > 0) {
      const power = (1000 * count) / ms;
      this.figures.power = this.figures.power ? this.figures.power + SMOOTHING * (power - this.figures.power) : power;
    }
    if (this.deferred) {
      const {order, parameters} = this.deferred;
      this.deferred = null;
      this.order(order, parameters);
    }
    if (this.unanswered) return;
    this.settle();
    if (this.state === "ready" && all) this.state = "saturated";
  }

  /** What the page shows of it. */
  row() {
    const total = this.shards.reduce((bytes, shard) => bytes + shard.bytes, 0);
    const allocated = this.shards.reduce((vectors, shard) => vectors + shard.count, 0);
    const cached = this.shards.reduce((n, {hash, count}) => n + (this.loaded.has(hash) ? count : 0), 0);
    const {number: worker, project, role, state, early} = this;
    const reason = this.reason || this.advice;
    return {worker, project, role, state, early, reason, allocated, cached, totalBytes: total, ...this.figures};
  }
}

/**
 * Tell whether two snapshots are one (a project that was set back may show other parameters at the same iteration).
 * @param {Parameters} a
 * @param {Parameters} b
 */
function same(a, b) {
  if (a.iteration !== b.iteration || a.version !== b.version) return false;
  return a === b || a.vector.every((value, i) => value === b.vector[i]);
}
