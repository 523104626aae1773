/* The workers of this browser, all of them: started, joined, fed, restarted, shown.
 *
 * Rules of this file:
 * - What one worker is lives in workers.js; here is what needs the others, the master or the data worker.
 * - The connection may go and come: workers stay, and are joined anew.
 * - A worker that fails is named, restarted at most MOST_RESTARTS times, and never takes the others with it.
 */

import {reasons} from "./reasons.js";
import {summary} from "./statistics.js";
import {Supply} from "./supply.js";
import {LocalWorker} from "./workers.js";

const MOST_RESTARTS = 3;
const ROWS_EVERY_MS = 250; // the page's table of its own workers
const READY_EVERY_MS = 100; // the first shard is told at once, the next ones together
const ASK_AGAIN_MS = 1000; // for a newer snapshot, by one who was shown the same again
const GIVE_WAY_MS = 1000; // after a touch of the page: people do several things in a row
const MOST_HOLDS = 20_000; // hashes that the master keeps in mind

/** @typedef {import("./workers.js").WorkerEndpoint} WorkerEndpoint */
/** @typedef {import("./workers.js").Wish} Wish */
/**
 * @typedef {object} Surroundings
 * @property {(role: string) => WorkerEndpoint} startWorker
 * @property {() => WorkerEndpoint} startData
 * @property {() => Promise<WebAssembly.Module>} compile the engine, fetched and verified
 * @property {number} cores of this device
 * @property {(work: () => void, ms: number) => any} later
 * @property {(timer: any) => void} cancel
 */
/**
 * @typedef {object} Links what the boss does for the crew
 * @property {(type: string, fields: object) => boolean} tell the master
 * @property {(message: import("./port.js").Message, transfer?: Transferable[]) => void} show the page
 * @property {() => boolean} welcomed whether the master knows this browser over this connection
 * @property {() => boolean} owner whether the master takes this browser for its owner's
 * @property {(id: string) => import("./project.js").LocalProject} project
 */

export class Crew {
  /**
   * @param {Surroundings} surroundings
   * @param {string} data the data server's address
   * @param {Links} links
   */
  constructor(surroundings, data, links) {
    this.surroundings = surroundings;
    this.links = links;
    /** @type {Map<number, LocalWorker>} */
    this.workers = new Map();
    this.numbers = 0;
    /** @type {Promise<WebAssembly.Module> | null} */
    this.engine = null;
    /** @type {Map<number, Set<string>>} shards to tell as ready, by worker */
    this.ready = new Map();
    /** @type {any} */
    this.readyTimer = null;
    /** @type {any} */
    this.rowsTimer = null;
    this.dirty = false; // the page has not seen the newest rows
    this.supply = new Supply(surroundings.startData, data, {
      onShard: (worker, delivery) => this.workers.get(worker)?.deliver(delivery),
      onTrouble: (workers, reason) => this.trouble(workers, reason),
      onFailed: reason => this.supplyFailed(reason),
    });
  }

  /** @param {number} number */
  known(number) {
    const worker = this.workers.get(number);
    if (!worker) throw new Error(`this page has no worker ${number}`);
    return worker;
  }

  /** @param {string} project */
  of(project) {
    return [...this.workers.values()].filter(worker => worker.project === project);
  }

  // --------------------------------------------------------------------------------------------- coming and going

  /** @param {{project: string, role: string} & Partial<Wish>} wish */
  add({project, role, capacityVectors = 3000, capacityBytes = 100_000_000, intensity = 1}) {
    const wish = {capacityVectors, capacityBytes, intensity, paused: false};
    const worker = new LocalWorker(++this.numbers, project, role, wish);
    this.workers.set(worker.number, worker);
    this.launch(worker);
    this.changed();
  }

  /**
   * Start a worker's Web Worker and join it.
   * @param {LocalWorker} worker
   */
  launch(worker) {
    const first = !this.supply.endpoint;
    this.supply.start();
    this.engine ??= this.surroundings.compile();
    this.engine.catch(() => void (this.engine = null)); // the next worker tries again
    const {project: id} = worker;
    const handlers = {
      loaded: (/** @type {any} */ {hash}) => this.loaded(worker, hash),
      result: (/** @type {any} */ {type, iteration, ...answer}) => this.result(worker, iteration, answer),
      free: () => this.free(worker),
      told: (/** @type {any} */ message) => this.told(worker, message),
      failed: (/** @type {any} */ {reason}) => this.failed(worker, reason),
    };
    worker.start(this.surroundings.startWorker(worker.role), this.engine, handlers, reason => this.failed(worker, reason));
    const {network} = this.links.project(id);
    if (network) worker.post({...network, type: "network"});
    if (first && this.links.welcomed()) this.holds();
    this.join(worker);
  }

  /** The master knows this browser, over a new connection: tell it all. */
  rejoin() {
    if (this.supply.endpoint) this.holds();
    for (const worker of this.workers.values()) {
      worker.joined = false;
      this.join(worker);
    }
  }

  async holds() {
    await this.supply.listed;
    if (this.links.welcomed()) this.links.tell("Holds", {shards: [...this.supply.held].slice(-MOST_HOLDS)});
  }

  /** @param {LocalWorker} worker */
  async join(worker) {
    await this.supply.listed; // the master allocates by what it was told before
    if (!this.links.welcomed() || !worker.endpoint || worker.joined) return;
    worker.joined = true;
    if (worker.state === "starting") worker.settle();
    const {number, project, role, wish} = worker;
    const {capacityVectors: capacity_vectors, capacityBytes: capacity_bytes, intensity} = wish;
    this.links.tell("Join", {project, worker: number, role, capacity_vectors, capacity_bytes, intensity});
    if (wish.paused) this.tune(worker, {});
  }

  /**
   * @param {LocalWorker} worker
   * @param {Partial<Wish>} wish
   */
  tune(worker, wish) {
    const {capacityVectors: capacity_vectors, capacityBytes: capacity_bytes, intensity, paused} = worker.tune(wish);
    const fields = {worker: worker.number, capacity_vectors, capacity_bytes, intensity, paused};
    if (worker.joined) this.links.tell("Tune", fields);
    this.changed();
  }

  /**
   * Take a worker back. What the others still answer goes out before the master hears of it: a browser without a worker
   * in a project is refused its answer.
   * @param {LocalWorker} worker
   */
  remove(worker) {
    if (this.of(worker.project).length === 1) this.links.project(worker.project).abandon();
    this.retire(worker);
    if (worker.joined) this.links.tell("Leave", {worker: worker.number});
  }

  /**
   * End a worker here; one that failed stays in the table, with its reason.
   * @param {LocalWorker} worker
   * @param {"gone" | "failed" | "starting"} how starting: once more
   * @param {string} reason
   */
  retire(worker, how = "gone", reason = "") {
    worker.stop();
    this.supply.forget(worker.number);
    this.ready.delete(worker.number);
    this.links.project(worker.project).drop(worker.number);
    if (how === "gone") this.workers.delete(worker.number);
    else Object.assign(worker, {state: how, reason});
    this.changed();
  }

  /**
   * The master let nobody in.
   * @param {number} number
   * @param {string} reason
   */
  turnedAway(number, reason) {
    const worker = this.workers.get(number);
    if (!worker) return;
    worker.joined = false;
    this.retire(worker, "failed", reason);
  }

  // ---------------------------------------------------------------------------------------------------- the work

  /** @param {import("./protocol.js").Network} network */
  network(network) {
    for (const worker of this.of(network.project)) worker.post({...network, type: "network"});
  }

  /** @param {import("./protocol.js").Assign} assign */
  assign(assign) {
    const worker = this.workers.get(assign.worker);
    if (!worker?.endpoint) return; // removed while this was under way
    const {held, missing} = worker.assign(assign);
    this.ready.set(worker.number, new Set(held));
    this.supply.want(worker.number, missing);
    this.tellReady();
    this.changed();
  }

  /**
   * @param {LocalWorker} worker
   * @param {string} hash
   */
  loaded(worker, hash) {
    if (!worker.hold(hash)) return;
    const waiting = this.ready.get(worker.number) ?? new Set();
    this.ready.set(worker.number, waiting.add(hash));
    if (!this.readyTimer) this.tellReady();
    this.changed();
  }

  /** Tell the master which shards became usable; those of the next READY_EVERY_MS together. */
  tellReady() {
    this.surroundings.cancel(this.readyTimer);
    this.readyTimer = null;
    for (const [number, hashes] of this.ready) {
      const worker = this.workers.get(number);
      if (!worker || !hashes.size) continue;
      this.links.tell("Ready", {worker: number, assignment: worker.assignment, shards: [...hashes]});
      hashes.clear();
      this.readyTimer ??= this.surroundings.later(() => this.tellReady(), READY_EVERY_MS);
    }
  }

  /**
   * Pick the orders of workers that are here.
   * @param {import("./protocol.js").Order[]} orders
   */
  withWorkers(orders) {
    return orders.flatMap(order => {
      const worker = this.workers.get(order.worker);
      return worker?.endpoint ? [{order, worker}] : [];
    });
  }

  /**
   * Show the newest parameters to those who only look.
   * @param {string} project
   * @param {import("./project.js").Parameters} parameters
   */
  snapshot(project, parameters) {
    for (const worker of this.of(project)) {
      if (worker.role === "trainer" || !worker.endpoint || worker.snapshot(parameters)) continue;
      // It came for the trainers here, and counts as given: ask again, but never as fast as a link can carry it.
      this.surroundings.later(() => worker.unanswered || this.tellFree(worker), ASK_AGAIN_MS);
    }
  }

  /**
   * One who only looks has done with its snapshot.
   * @param {LocalWorker} worker
   */
  free(worker) {
    if (!worker.free()) this.tellFree(worker);
    this.changed();
  }

  /** @param {LocalWorker} worker */
  tellFree(worker) {
    if (worker.joined && this.workers.has(worker.number))
      this.links.tell("Ready", {worker: worker.number, assignment: worker.assignment, shards: []});
  }

  /**
   * @param {LocalWorker} worker
   * @param {number} iteration
   * @param {{count: number, loss: number, wrong: number, ms: number, all: boolean, gradient: Float32Array | null}} answer
   */
  result(worker, iteration, {all, ...answer}) {
    worker.answered({count: answer.count, ms: answer.ms, all});
    this.links.project(worker.project).accept(iteration, {worker: worker.number, ...answer});
    this.changed();
  }

  /**
   * @param {number} number
   * @param {string} why
   * @param {boolean} late
   */
  leaveOut(number, why, late) {
    this.workers.get(number)?.leaveOut(why, late);
    this.changed();
  }

  /**
   * Show what one who only looks has found; the owner's browser reports what it means to the master, too.
   * @param {LocalWorker} worker
   * @param {import("./port.js").Message} message
   */
  told(worker, message) {
    const {report} = message;
    if (report && worker.joined && this.links.owner()) {
      if (Number.isFinite(report.loss)) this.links.tell("Report", {worker: worker.number, ...summary(report)});
      else worker.reason = reasons.worker.noNumber(report.iteration);
    }
    this.links.show({...message, worker: worker.number, project: worker.project});
  }

  /** A person uses the page: trainers that leave no core free rest for a moment, all but one at least. */
  giveWay() {
    const trainers = [...this.workers.values()].filter(({role, endpoint, wish}) => role === "trainer" && endpoint && !wish.paused);
    for (const worker of trainers.slice(Math.max(1, this.surroundings.cores - 1))) worker.post({type: "giveWay", ms: GIVE_WAY_MS});
  }

  // ---------------------------------------------------------------------------------------------------- failures

  /**
   * A worker stopped with an error: name it, and start it again unless that was tried often enough.
   * @param {LocalWorker} worker
   * @param {string} reason
   */
  failed(worker, reason) {
    if (!worker.endpoint) return;
    if (worker.joined) this.links.tell("Failed", {worker: worker.number, reason}); // else the master does not know it
    const again = worker.restarts < MOST_RESTARTS;
    this.retire(worker, again ? "starting" : "failed", reason);
    if (!again) return;
    worker.restarts += 1;
    this.launch(worker);
  }

  /** @param {string} reason */
  supplyFailed(reason) {
    for (const worker of [...this.workers.values()]) if (worker.endpoint) this.failed(worker, reason);
  }

  /**
   * @param {number[]} numbers
   * @param {string} reason
   */
  trouble(numbers, reason) {
    for (const number of numbers) {
      const worker = this.workers.get(number);
      if (worker) worker.reason = reason;
    }
    this.changed();
  }

  // ------------------------------------------------------------------------------------------------ what is shown

  /**
   * Take the master's view of this browser's own workers.
   * @param {import("./protocol.js").WorkerRow[]} rows
   * @param {number} client who this browser is
   */
  advise(rows, client) {
    for (const {client: whose, worker, latency_ms: latencyMs, advice} of rows)
      if (whose === client && this.workers.get(worker)?.advise(latencyMs, advice)) this.changed();
  }

  /** Show the page's own workers: at once, and what changes soon after together. */
  changed() {
    this.dirty = true;
    if (!this.rowsTimer) this.showRows();
  }

  showRows() {
    this.rowsTimer = null;
    if (!this.dirty) return;
    this.dirty = false;
    this.links.show({type: "workers", workers: [...this.workers.values()].map(worker => worker.row())});
    this.rowsTimer = this.surroundings.later(() => this.showRows(), ROWS_EVERY_MS);
  }
}
