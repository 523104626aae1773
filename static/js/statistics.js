/* Evaluates the newest parameters on pictures that never train: the test set, else the validation set.
 *
 * Rules of this file:
 * - Loss and wrong answers are the engine's own; the rest is counted from its probabilities. No model of ours twice.
 * - Messages are let in every SLICE_MS; a new network or other pictures end an evaluation, which then tells nothing.
 * - A report is told whole or not at all: all pictures, one snapshot.
 */

import {Tracker} from "./tracker.js";

const SLICE_MS = 50;
const MOST_TOP = 5;
const MOST_WORST = 24; // a screen of pictures
const MOST_COUNTED = 100; // labels whose counts the master takes (core/held_out.py)

/** @typedef {import("./protocol.js").Shard} Shard */
/** @typedef {{hash: string, first: number, pixels: Uint8Array, labels: Int32Array, n: number}} Batch */
/** @typedef {{pixels: Uint8Array, labels: Uint16Array}} Pictures */
/** @typedef {{hash: string, index: number, label: number, predicted: number, probability: number, sure: number, pixels: Uint8Array}} Worst the probabilities of its label, and of the answer */
/**
 * @typedef {object} Report
 * @property {number} iteration
 * @property {number} version of the network
 * @property {number} assignment which test set
 * @property {number} vectors those whose label the network knows
 * @property {number} wrong how many answers
 * @property {number} unknown pictures of labels that the network does not know: left out
 * @property {number} loss mean cross-entropy
 * @property {number} error share of wrong answers
 * @property {string[]} labels
 * @property {number[][]} confusion [label][predicted]
 * @property {number[]} top share of pictures whose label is among the 1, 2, … likeliest
 * @property {Worst[]} worst those with the least probability for their label, worst first
 * @property {number} ms it took
 */
/**
 * @typedef {object} Surroundings
 * @property {import("./tracker.js").Surroundings["createNetwork"]} createNetwork
 * @property {() => number} now milliseconds
 * @property {() => Promise<void>} rest comes back once the waiting messages were handled
 * @property {(message: import("./port.js").Message) => void} say
 */

export class Statistics {
  /** @param {Surroundings} surroundings */
  constructor(surroundings) {
    this.surroundings = surroundings;
    this.tracker = new Tracker({
      createNetwork: surroundings.createNetwork,
      free: () => surroundings.say({type: "free"}),
      use: () => this.evaluate(),
    });
    this.assignment = -1;
    /** @type {Shard[]} */
    this.shards = [];
    /** @type {Map<string, Pictures>} */
    this.pictures = new Map();
    this.epoch = 0; // grows when what is evaluated changes, and with every evaluation
  }

  /** @param {{version: number, layers: object[], labels: string[]}} network */
  network(network) {
    this.epoch += 1;
    return this.tracker.network(network);
  }

  /** @param {{assignment: number, shards: Shard[]}} assign */
  async assign({assignment, shards}) {
    this.epoch += 1;
    this.assignment = assignment;
    this.shards = shards;
    const wanted = new Set(shards.map(({hash}) => hash));
    for (const hash of this.pictures.keys()) if (!wanted.has(hash)) this.pictures.delete(hash);
    await this.evaluate();
  }

  /** @param {{hash: string} & Pictures} shard */
  async shard({hash, pixels, labels}) {
    this.pictures.set(hash, {pixels, labels});
    this.surroundings.say({type: "loaded", hash});
    await this.evaluate();
  }

  /** Evaluate all pictures with the snapshot, and tell, unless some are missing or anything changes meanwhile. */
  async evaluate() {
    const complete = this.shards.length && this.shards.every(({hash}) => this.pictures.has(hash));
    if (!complete || !this.tracker.snapshot) return;
    const report = await this.measure(++this.epoch);
    if (report) this.surroundings.say({type: "told", what: "report", report});
  }

  /**
   * @param {number} epoch
   * @returns {Promise<Report | null>} null: what is evaluated changed, or the network knows no label of it
   */
  async measure(epoch) {
    const {now, rest} = this.surroundings;
    const {assignment} = this;
    const {engine, iteration, version, labels} = this.tracker.looking;
    const tally = new Tally(engine.shapes[engine.shapes.length - 1][2]);
    const start = now();
    let rested = start;
    for (const batch of this.batches(engine.batch)) {
      const {loss, wrong} = engine.evaluate(batch.pixels, batch.labels, batch.n);
      tally.add(batch, loss, wrong, engine.probabilities(batch.pixels, batch.n));
      if (now() - rested < SLICE_MS) continue;
      await rest();
      if (epoch !== this.epoch) return null;
      rested = now();
    }
    const unknown = this.shards.reduce((n, {count}) => n + count, -tally.vectors);
    return tally.vectors ? {iteration, version, assignment, labels, unknown, ...tally.figures(), ms: now() - start} : null;
  }

  /**
   * Yield micro-batches of all pictures, shard by shard; those of unknown labels are passed over.
   * @param {number} size
   * @returns {Generator<Batch>}
   */
  *batches(size) {
    for (const {hash, labels: places} of this.shards) {
      const {pixels, labels} = /** @type {Pictures} */ (this.pictures.get(hash));
      const length = pixels.length / labels.length;
      for (let first = 0, end = 0; first < labels.length; first = Math.max(end, first + 1)) {
        for (end = first; end < labels.length && end < first + size && places[labels[end]] >= 0; ) end += 1;
        if (end === first) continue;
        const own = Int32Array.from(labels.subarray(first, end), label => places[label]);
        yield {hash, first, pixels: pixels.subarray(first * length, end * length), labels: own, n: own.length};
      }
    }
  }
}

/** What is counted over all pictures. */
export class Tally {
  /** @param {number} labels how many; or outputs, where a network has some to spare */
  constructor(labels) {
    this.vectors = 0;
    this.loss = 0;
    this.wrong = 0;
    this.confusion = Array.from({length: labels}, () => Array(labels).fill(0));
    this.ranks = Array(Math.min(MOST_TOP, labels)).fill(0);
    /** @type {Worst[]} */
    this.worst = [];
  }

  /**
   * @param {Batch} batch
   * @param {number} loss summed
   * @param {number} wrong
   * @param {Float32Array} probabilities [n][labels]
   */
  add(batch, loss, wrong, probabilities) {
    const {hash, first, pixels, labels, n} = batch;
    this.vectors += n;
    this.loss += loss;
    this.wrong += wrong;
    const outputs = probabilities.length / n;
    const length = pixels.length / n;
    for (let i = 0; i < n; i++) {
      const own = probabilities.subarray(i * outputs, (i + 1) * outputs);
      const label = labels[i];
      const predicted = own.indexOf(Math.max(...own));
      const rank = own.reduce((above, p, other) => above + Number(p > own[label] || (p === own[label] && other < label)), 0);
      this.confusion[label][predicted] += 1;
      if (rank < this.ranks.length) this.ranks[rank] += 1;
      const seen = {hash, index: first + i, label, predicted, probability: own[label], sure: own[predicted]};
      if (predicted !== label) this.keep(seen, pixels.subarray(i * length, (i + 1) * length));
    }
  }

  /**
   * @param {Omit<Worst, "pixels">} seen
   * @param {Uint8Array} pixels
   */
  keep(seen, pixels) {
    const full = this.worst.length === MOST_WORST;
    if (full && seen.probability >= this.worst[MOST_WORST - 1].probability) return;
    if (full) this.worst.pop();
    const place = this.worst.findIndex(({probability}) => probability > seen.probability);
    this.worst.splice(place < 0 ? this.worst.length : place, 0, {...seen, pixels: pixels.slice()});
  }

  figures() {
    const {vectors, confusion, worst} = this;
    let within = 0;
    const top = this.ranks.map(n => (within += n) / vectors);
    return {vectors, wrong: this.wrong, loss: this.loss / vectors, error: this.wrong / vectors, confusion, top, worst};
  }
}

/**
 * Precision, recall and F1 of a label from its counts, 0 where there is nothing to divide by (as scikit-learn has it).
 * @param {number} support pictures of it
 * @param {number} claimed answers that name it
 * @param {number} right
 */
export function scored(support, claimed, right) {
  const share = (/** @type {number} */ part, /** @type {number} */ whole) => (whole ? part / whole : 0);
  return {precision: share(right, claimed), recall: share(right, support), f1: share(2 * right, claimed + support), support};
}

/**
 * @param {number[][]} confusion [label][predicted]
 * @returns {ReturnType<typeof scored>[]} of each label
 */
export function perLabel(confusion) {
  return confusion.map((row, label) => scored(sum(row), sum(confusion.map(other => other[label])), row[label]));
}

/**
 * Make of an evaluation what the master is told: sums and counts.
 * @param {Report} report
 * @returns {Omit<import("./protocol.js").Report, "type" | "worker">}
 */
export function summary({assignment, iteration, version, vectors, wrong, loss, labels, confusion}) {
  /** @type {[number, number, number][]} */
  const counts = labels
    .slice(0, labels.length <= MOST_COUNTED ? labels.length : 0)
    .map((_, label) => [sum(confusion[label]), sum(confusion.map(row => row[label])), confusion[label][label]]);
  return {assignment, iteration, version, count: vectors, wrong, loss: loss * vectors, labels: counts};
}

/** @param {number[]} numbers */
const sum = numbers => numbers.reduce((total, n) => total + n, 0);
