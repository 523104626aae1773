/* A trainer: the map step. It holds shards, takes an order, and answers with a gradient sum.
 *
 * Rules of this file:
 * - It computes whole micro-batches in the order that the work order defines (work.js), and answers how many vectors.
 * - It looks at the clock after every micro-batch and lets messages in at least every SLICE_MS.
 * - No timer drives it. A newer order ends the one at work, which is answered with what it has.
 * - It gives way to the person at the device: asked to, it rests for a moment within its order, which ends when it
 *   would have. Only then it waits for a timer, which runs on time because the page is looked at.
 * - An order with a local rate asks for steps of its own (docs/architecture.md, "Local steps"): they start from the
 *   parameters that came with it, and what is answered is the way they led, times the vectors, against its direction.
 * - Which vectors, which keys and which seed is all said by messages: any engine can repeat it.
 */

import {Stream} from "./work.js";

const SLICE_MS = 10; // then it lets messages in: a person who touches the page does not wait for it longer than that
const REST_MS = 50; // of giving way, between two looks at the inbox
const LARGEST_MICRO_BATCH = 16;
const KEPT_ASSIGNMENTS = 2; // an order under way may still name the one before the newest

/** @typedef {import("./protocol.js").Shard} Shard */
/** @typedef {import("./protocol.js").Order} Order */
/** @typedef {{pixels: Uint8Array, labels: Uint16Array}} Pictures */
/** @typedef {import("./engine/contract.js").Network} Network */
/** @typedef {{iteration: number, version: number, order: Order, parameters: Float32Array}} Job */
/** @typedef {{count: number, loss: number, wrong: number, gradient: Float32Array | null}} Outcome sums over vectors */
/**
 * @typedef {object} Surroundings
 * @property {(layers: object[], labels: string[], batch: number) => Promise<Network>} createNetwork
 * @property {() => number} now milliseconds
 * @property {() => Promise<void>} rest comes back once the waiting messages were handled
 * @property {(ms: number) => Promise<void>} sleep
 * @property {(message: import("./port.js").Message, transfer: Transferable[]) => void} answer
 */

export class Trainer {
  /** @param {Surroundings} surroundings */
  constructor(surroundings) {
    this.surroundings = surroundings;
    /** @type {Network | null} */
    this.engine = null;
    this.version = -1;
    this.seed = 0;
    /** @type {Promise<void>} the network that orders wait for */
    this.built = Promise.resolve();
    /** @type {Map<string, Pictures>} by shard */
    this.pictures = new Map();
    /** @type {Map<number, Shard[]>} by number, oldest first */
    this.assignments = new Map();
    /** @type {Job | null} the order that waits for the one at work */
    this.next = null;
    this.busy = false;
    this.stopped = false;
    this.awayUntil = -Infinity;
    this.away = 0; // milliseconds of the order at work in which it gave way
  }

  /**
   * Build the network, or build it anew with more labels.
   * @param {{version: number, layers: object[], labels: string[], seed: number}} network
   */
  async network({version, layers, labels, seed}) {
    this.stopped = true;
    this.built = this.surroundings.createNetwork(layers, labels, LARGEST_MICRO_BATCH).then(engine => {
      Object.assign(this, {engine, version, seed});
    });
    await this.built;
  }

  /** @param {{assignment: number, shards: Shard[]}} assign */
  assign({assignment, shards}) {
    this.assignments.delete(assignment); // numbers begin anew with a new connection
    this.assignments.set(assignment, shards);
    for (const old of [...this.assignments.keys()].slice(0, -KEPT_ASSIGNMENTS)) this.assignments.delete(old);
    for (const hash of this.pictures.keys()) if (!this.wants(hash)) this.pictures.delete(hash);
  }

  /** @param {string} hash */
  wants(hash) {
    return [...this.assignments.values()].some(shards => shards.some(shard => shard.hash === hash));
  }

  /** @param {{hash: string} & Pictures} shard */
  shard({hash, pixels, labels}) {
    if (!this.wants(hash)) return; // assigned to another while it was on its way
    this.pictures.set(hash, {pixels, labels});
    this.surroundings.answer({type: "loaded", hash}, []);
  }

  /** End the order at work, which is answered with what it has, and the one that waits, with nothing. */
  stop() {
    this.stopped = true;
    if (this.next) this.answer(this.next, nothing(), 0);
    this.next = null;
  }

  /**
   * Leave the core to the person at the device.
   * @param {number} ms
   */
  giveWay(ms) {
    this.awayUntil = this.surroundings.now() + ms;
  }

  /** @param {Job} job */
  async order(job) {
    this.stop();
    this.next = job;
    if (this.busy) return; // the one at work sees `stopped` at its next rest, then this one is taken
    this.busy = true;
    try {
      while (this.next) {
        await this.built;
        await this.turn();
      }
    } finally {
      this.busy = false;
    }
  }

  /** Do the order that waits. */
  async turn() {
    const job = this.next;
    if (!job) return;
    this.next = null;
    this.stopped = false;
    this.away = 0;
    const start = this.surroundings.now();
    const outcome = this.version === job.version ? await this.compute(job, start) : nothing();
    this.answer(job, outcome, this.surroundings.now() - start - this.away);
  }

  /**
   * @param {Job} job
   * @param {Outcome} outcome
   * @param {number} ms
   */
  answer({iteration, order}, outcome, ms) {
    const message = {type: "result", iteration, ...outcome, ms, all: outcome.count >= order.limit};
    this.surroundings.answer(message, outcome.gradient ? [outcome.gradient.buffer] : []);
  }

  /**
   * Compute micro-batches until the time or the vectors are used up.
   * @param {Job} job
   * @param {number} start
   * @returns {Promise<Outcome>}
   */
  async compute({iteration, order, parameters}, start) {
    const engine = /** @type {Network} */ (this.engine);
    const sums = nothing();
    const batches = this.batches(order);
    const end = start + order.until_ms;
    let looked = start < this.awayUntil ? -Infinity : start;
    engine.setParameters(parameters);
    if (order.local_rate) engine.beginLocal();
    else engine.clear();
    for (const {pixels, labels, keys, n} of batches) {
      const {loss, wrong} = engine.gradient(pixels, labels, n, keys, this.seed, iteration);
      if (order.local_rate) engine.localStep(n, order.local_rate, order.local_momentum);
      sums.count += n;
      sums.loss += loss;
      sums.wrong += wrong;
      const now = this.surroundings.now();
      if (now >= end) break;
      if (now - looked < SLICE_MS) continue;
      await this.surroundings.rest();
      if (now < this.awayUntil) await this.rest(end);
      if (this.stopped || this.away && this.surroundings.now() >= end) break;
      looked = now;
    }
    if (sums.count) sums.gradient = order.local_rate ? against(engine.localDifference(), sums.count) : engine.gradientSum().slice();
    return sums;
  }

  /**
   * Give way as long as it was asked to, but no longer than its order allows.
   * @param {number} end of the order
   */
  async rest(end) {
    const {now, sleep} = this.surroundings;
    const start = now();
    for (let at = start; at < Math.min(end, this.awayUntil) && !this.stopped; at = now()) await sleep(Math.min(REST_MS, end - at));
    this.away += now() - start;
  }

  /**
   * Yield the order's micro-batches; the buffers are the same each time.
   * @param {Order} order
   */
  *batches({assignment, ready, seed, cursor, micro_batch: size, limit, local_rate}) {
    const assigned = this.assignments.get(assignment);
    if (!assigned) return;
    const shards = ready.map(position => assigned[position]);
    const pictures = shards.map(({hash}) => this.pictures.get(hash));
    if (!pictures[0] || pictures.includes(undefined)) return; // replaced while the order was under way
    const length = pictures[0].pixels.length / pictures[0].labels.length;
    const batch = {pixels: new Uint8Array(size * length), labels: new Int32Array(size), keys: new Uint32Array(size), n: 0};
    const stream = new Stream(shards, seed);
    let left = limit;
    for (const {piece, index, key} of local_rate ? stream.walk(cursor) : stream.take(cursor, limit)) {
      const {pixels, labels} = /** @type {Pictures} */ (pictures[piece]);
      batch.pixels.set(pixels.subarray(index * length, (index + 1) * length), batch.n * length);
      batch.labels[batch.n] = shards[piece].labels[labels[index]];
      batch.keys[batch.n] = key;
      batch.n += 1;
      left -= 1;
      if (batch.n < size && left) continue;
      yield batch; // the last one of the limit may be smaller
      if (!left) return;
      batch.n = 0;
    }
  }
}

/**
 * What travels for local steps: count × (the broadcast parameters − these), each product rounded to float32 once.
 * @param {Float32Array} difference of these from the broadcast ones
 * @param {number} count
 */
function against(difference, count) {
  const weight = Math.fround(-count);
  return difference.map(value => weight * value);
}

/** @returns {Outcome} */
function nothing() {
  return {count: 0, loss: 0, wrong: 0, gradient: null};
}
