/* The combiner of one browser: one answer an iteration, however many trainers work here.
 *
 * Rules of this file:
 * - Sums are made in float64, in the order of the orders, and rounded to float32 once.
 * - A trainer that is late, or whose vector the master would refuse, is left out and named: one must not cost the
 *   others their work. The mirror of mlitb/combiner.py.
 * - No clock and no socket: the boss says when the time is up.
 */

import {reasons} from "./reasons.js";

/** @typedef {{worker: number, count: number, loss: number, wrong: number, ms: number}} Result */
/** @typedef {Result & {gradient: Float32Array | null}} TrainerAnswer */
/** @typedef {{worker: number, why: string}} LeftOut */

const FLOAT32_MAX = 3.4028234663852886e38;

/**
 * Tell whether the master takes the sum of `times` vectors like this one: it refuses what is not finite, and what is too
 * large to be squared (mlitb/core/reduction.py).
 * @param {Float32Array} vector
 * @param {number} [times]
 */
export function usable(vector, times = 1) {
  let squares = 0;
  for (let i = 0; i < vector.length; i++) squares += vector[i] * vector[i];
  return squares * times ** 2 <= FLOAT32_MAX; // false for what is not a number
}

/**
 * Add vectors of equal length in float64, in the order given, and round once.
 * @param {Float32Array[]} vectors at least one
 * @returns {Float32Array}
 */
export function sum(vectors) {
  if (vectors.length === 1) return vectors[0];
  const total = new Float64Array(vectors[0]);
  for (const vector of vectors.slice(1)) for (let i = 0; i < total.length; i++) total[i] += vector[i];
  return Float32Array.from(total);
}

/** Collects the answers to one browser's orders of one iteration. */
export class Combiner {
  /**
   * @param {number} iteration
   * @param {number[]} workers in the order of the orders
   * @param {number} length of the parameter vector
   * @param {Iterable<number>} [silent] those that have not answered their last orders: awaited until the budget is over
   */
  constructor(iteration, workers, length, silent = []) {
    this.iteration = iteration;
    this.workers = workers;
    this.length = length;
    /** @type {Map<number, TrainerAnswer>} */
    this.answers = new Map();
    /** @type {Set<number>} */
    this.gone = new Set();
    this.silent = new Set(silent);
    this.over = false; // the budget: what is left is the margin
  }

  /** Whether nobody is awaited any more. */
  get complete() {
    return !this.workers.some(worker => this.awaits(worker) && !(this.over && this.silent.has(worker)));
  }

  /**
   * It has answered something, be it too late: from now on it gets the margin like everyone.
   * @param {number} worker
   */
  hear(worker) {
    this.silent.delete(worker);
  }

  /** @param {number} worker */
  awaits(worker) {
    return this.workers.includes(worker) && !this.answers.has(worker) && !this.gone.has(worker);
  }

  /** @param {TrainerAnswer} answer of a trainer that is awaited */
  accept(answer) {
    this.answers.set(answer.worker, answer);
  }

  /**
   * Await this trainer no longer: it failed or was removed.
   * @param {number} worker
   */
  drop(worker) {
    this.gone.add(worker);
  }

  /**
   * Sum what came; with whom it leaves out and why.
   * @returns {{results: Result[], vector: Float32Array | null, leftOut: LeftOut[]}}
   */
  finish() {
    /** @type {LeftOut[]} */
    const leftOut = this.workers.filter(worker => this.awaits(worker)).map(worker => ({worker, why: "late"}));
    /** @type {Result[]} */
    const results = [];
    const vectors = [];
    for (const worker of this.workers) {
      const answer = this.answers.get(worker);
      if (!answer) continue;
      const {gradient, ...result} = answer;
      const why = this.fault(answer);
      if (why) leftOut.push({worker, why});
      else results.push(result);
      if (!why && gradient && result.count) vectors.push(gradient);
    }
    return {results, vector: vectors.length ? sum(vectors) : null, leftOut};
  }

  /**
   * @param {TrainerAnswer} answer
   * @returns {string} empty: it is sound
   */
  fault({count, loss, gradient}) {
    if (!count) return "";
    if (gradient?.length !== this.length) return reasons.answer.length;
    return Number.isFinite(loss) && usable(gradient, this.workers.length) ? "" : reasons.answer.notFinite;
  }
}
