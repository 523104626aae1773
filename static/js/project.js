/* One project in this browser: its network, its newest parameters, the iteration at work.
 *
 * Rules of this file:
 * - One answer per iteration, whatever its trainers do: a stuck one is cut at its budget plus the margin that the
 *   master gives, which is less than its grace.
 * - That margin is given once: who was cut is awaited within the budget alone until it answers something.
 * - New orders end an iteration that is still open here, with an answer without a vector: it is a sign of life, and the
 *   master refuses what comes after the close.
 * - The timer only guards against stuck trainers; answers drive.
 */

import {Combiner} from "./combiner.js";
import {reasons} from "./reasons.js";

/** @typedef {import("./workers.js").LocalWorker} LocalWorker */
/** @typedef {{iteration: number, version: number, vector: Float32Array}} Parameters */
/**
 * @typedef {object} Surroundings
 * @property {(project: string, iteration: number, results: import("./combiner.js").Result[], vector: Float32Array | null) => void} answer
 * @property {(worker: number, why: string, late: boolean) => void} leaveOut `late`: its time ran out
 * @property {(work: () => void, ms: number) => any} later
 * @property {(timer: any) => void} cancel
 */

export class LocalProject {
  /**
   * @param {string} id
   * @param {Surroundings} surroundings
   */
  constructor(id, surroundings) {
    this.id = id;
    this.surroundings = surroundings;
    /** @type {import("./protocol.js").Network | null} */
    this.network = null;
    /** @type {Parameters | null} */
    this.parameters = null;
    /** @type {Combiner | null} */
    this.combiner = null;
    /** @type {any} */
    this.timer = null;
  }

  /**
   * Give the orders of an iteration to its trainers.
   * @param {number} iteration
   * @param {{order: import("./protocol.js").Order, worker: LocalWorker}[]} orders of workers that are here
   * @param {number} marginMs
   */
  begin(iteration, orders, marginMs) {
    this.supersede();
    const parameters = this.parameters;
    if (parameters?.iteration !== iteration) throw new Error(`orders of iteration ${iteration} without its parameters`);
    const numbers = orders.map(({worker}) => worker.number);
    const silent = orders.filter(({worker}) => worker.late).map(({worker}) => worker.number);
    const combiner = (this.combiner = new Combiner(iteration, numbers, parameters.vector.length, silent));
    for (const {order, worker} of orders) worker.order(order, parameters);
    const longest = Math.max(0, ...orders.map(({order}) => order.until_ms));
    this.timer = this.surroundings.later(() => this.budgetOver(combiner, marginMs), longest);
    if (combiner.complete) this.close();
  }

  /**
   * @param {Combiner} combiner
   * @param {number} marginMs
   */
  budgetOver(combiner, marginMs) {
    combiner.over = true;
    if (combiner.complete) this.close(true);
    else this.timer = this.surroundings.later(() => this.close(true), marginMs);
  }

  /**
   * Take a trainer's answer; one that is late counts for nothing, and is a sign of life.
   * @param {number} iteration
   * @param {import("./combiner.js").TrainerAnswer} answer
   */
  accept(iteration, answer) {
    this.combiner?.hear(answer.worker);
    if (this.combiner?.iteration !== iteration || !this.combiner.awaits(answer.worker)) return;
    this.combiner.accept(answer);
    if (this.combiner.complete) this.close();
  }

  /**
   * Await this worker no longer.
   * @param {number} worker
   */
  drop(worker) {
    this.combiner?.drop(worker);
    if (this.combiner?.complete) this.close();
  }

  /**
   * Answer with what has come, once.
   * @param {boolean} [timeUp] else everyone has answered
   */
  close(timeUp = false) {
    const combiner = this.combiner;
    if (!combiner) return;
    this.surroundings.cancel(this.timer);
    this.combiner = null;
    const {results, vector, leftOut} = combiner.finish();
    for (const {worker, why} of leftOut)
      this.surroundings.leaveOut(worker, reasons.answer.leftOut(why), timeUp && why === "late");
    this.surroundings.answer(this.id, combiner.iteration, results, vector);
  }

  /** End the iteration at work: newer orders came. */
  supersede() {
    const combiner = this.combiner;
    if (!combiner) return;
    this.abandon();
    for (const worker of combiner.workers)
      if (combiner.awaits(worker)) this.surroundings.leaveOut(worker, reasons.answer.superseded, false);
    this.surroundings.answer(this.id, combiner.iteration, [], null);
  }

  /** Forget the iteration at work: the connection that wanted its answer is gone. */
  abandon() {
    this.surroundings.cancel(this.timer);
    this.combiner = null;
  }
}
