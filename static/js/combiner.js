/* The combiner of one browser: one answer an iteration, however many trainers work here.
 *
 * Rules of this file:
 * - Sums are made in float64, in the order of the orders, and rounded to float32 once.
 * - A trainer that is late or whose vector is not finite is left out and named; nobody waits for it.
 * - No clock and no socket: the boss says when the time is up.
 */

/** @typedef {{worker: number, count: number, loss: number, wrong: number, ms: number}} Result */
/** @typedef {Result & {gradient: Float32Array | null}} TrainerAnswer */
/** @typedef {{worker: number, why: "late" | "not finite" | "wrong length"}} LeftOut */

/**
 * Tell whether all values are finite, by their bits: an exponent of all ones is an infinity or not a number.
 * @param {Float32Array} vector
 */
export function allFinite(vector) {
  const bits = new Uint32Array(vector.buffer, vector.byteOffset, vector.length);
  for (let i = 0; i < bits.length; i++) if ((bits[i] & 0x7f800000) === 0x7f800000) return false;
  return true;
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
   */
  constructor(iteration, workers, length) {
    this.iteration = iteration;
    this.workers = workers;
    this.length = length;
    /** @type {Map<number, TrainerAnswer>} */
    this.answers = new Map();
    /** @type {Set<number>} */
    this.gone = new Set();
  }

  /** Whether nobody is awaited any more. */
  get complete() {
    return this.workers.every(worker => this.answers.has(worker) || this.gone.has(worker));
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
   * @returns {"not finite" | "wrong length" | null}
   */
  fault({count, loss, gradient}) {
    if (!count) return null;
    if (gradient?.length !== this.length) return "wrong length";
    return Number.isFinite(loss) && allFinite(gradient) ? null : "not finite";
  }
}
