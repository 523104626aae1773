/* The boss: one browser's coordinator and the owner of its connection.
 *
 * Rules of this file:
 * - It routes: page, master, workers and data worker each have a table of handlers; what they keep lives elsewhere
 *   (project.js, workers.js, supply.js).
 * - Messages drive it. The connection may go and come: workers stay, and are joined anew under the old identity.
 * - A worker that fails is named, restarted at most MOST_RESTARTS times, and never takes the others with it.
 * - Nothing global is touched: sockets, workers, clocks and the engine come from entry/boss.js, or from a test.
 */

import {listen, send} from "./port.js";
import {LocalProject} from "./project.js";
import {PROTOCOL, decode, encode} from "./protocol.js";
import {Pulse} from "./pulse.js";
import {noticeSleep} from "./sleep.js";
import {Socket} from "./socket.js";
import {Supply} from "./supply.js";
import {LocalWorker} from "./workers.js";

const MOST_RESTARTS = 3;
const ROWS_EVERY_MS = 250; // the page's table of its own workers
const READY_EVERY_MS = 100; // the first shard is told at once, the next ones together
const MOST_HOLDS = 4096; // hashes told to the master

/** @typedef {import("./workers.js").WorkerEndpoint} WorkerEndpoint */
/** @typedef {{engine: string, engine_url: string, data_url: string}} Config the answer of /api/config */
/**
 * @typedef {object} Surroundings
 * @property {() => WebSocket} open a connection to the master
 * @property {(role: string) => WorkerEndpoint} startWorker
 * @property {() => WorkerEndpoint} startData
 * @property {() => Promise<WebAssembly.Module>} compile the engine, fetched and verified
 * @property {string} device a name of this device for people
 * @property {(work: () => void, ms: number) => any} later
 * @property {(timer: any) => void} cancel
 * @property {() => number} random in [0, 1)
 * @property {() => number} now milliseconds of a clock that runs while the device sleeps
 */

export class Boss {
  /**
   * @param {import("./port.js").Endpoint} page
   * @param {Config} config
   * @param {Surroundings} surroundings
   */
  constructor(page, config, surroundings) {
    this.page = page;
    this.config = config;
    this.surroundings = surroundings;
    /** @type {Map<number, LocalWorker>} */
    this.workers = new Map();
    /** @type {Map<string, LocalProject>} */
    this.projects = new Map();
    /** @type {Map<number, Set<string>>} shards to tell as ready, by worker */
    this.ready = new Map();
    /** @type {any} */
    this.readyTimer = null;
    /** @type {any} */
    this.rowsTimer = null;
    this.dirty = false; // the page has not seen the newest rows
    this.numbers = 0;
    this.watched = "";
    this.client = -1;
    this.resume = "";
    this.welcomed = false;
    /** @type {Promise<WebAssembly.Module> | null} */
    this.engine = null;
    this.socket = new Socket(surroundings, {
      onOpen: () => this.tell("Hello", {
        protocol: PROTOCOL, engine: config.engine, resume: this.resume, device: surroundings.device,
      }),
      onFrame: frame => this.receive(frame),
      onState: (state, reason, retryMs) => this.connection(state, reason, retryMs),
    });
    this.pulse = new Pulse(
      surroundings.later,
      () => this.watched && this.tell("Watch", {project: this.watched}),
      () => this.watched && this.socket.restart("the server has been silent for too long"),
    );
    this.supply = new Supply(surroundings.startData, config.data_url, {
      onShard: (worker, delivery) => this.workers.get(worker)?.deliver(delivery),
      onTrouble: (workers, reason) => this.trouble(workers, reason),
      onFailed: reason => this.supplyFailed(reason),
    });
  }

  /** Listen to the page and connect. */
  start() {
    noticeSleep(this.surroundings, ms => this.show({type: "slept", ms}));
    listen(this.page, this.pageHandlers(), error => this.refuse(error.message));
    this.socket.start();
  }

  /**
   * @param {string} type
   * @param {object} fields
   * @param {Float32Array | null} [vector]
   * @returns {boolean} whether it left
   */
  tell(type, fields, vector = null) {
    return this.socket.send(encode({type, ...fields}, vector));
  }

  /** @param {import("./port.js").Message} message to the page */
  show(message) {
    send(this.page, message);
  }

  /** @param {string} reason */
  refuse(reason) {
    this.show({type: "refused", status: 400, reason, about: "", worker: -1});
  }

  // ---------------------------------------------------------------------------------------------- the connection

  /**
   * @param {import("./socket.js").State} state
   * @param {string} reason
   * @param {number} retryMs
   */
  connection(state, reason, retryMs) {
    if (state === "lost" || state === "reload" || state === "closed") {
      this.welcomed = false;
      this.pulse.stop();
      for (const project of this.projects.values()) project.abandon();
    }
    if (state === "reload" || state === "closed") for (const worker of [...this.workers.values()]) this.retire(worker);
    this.show({type: "connection", state, reason, retryMs});
  }

  /** @param {ArrayBuffer} frame */
  receive(frame) {
    this.pulse.heard();
    try {
      const {message, vector} = decode(frame);
      /** @type {{[type: string]: (message: any, vector: any) => void}} */
      const handlers = this.masterHandlers();
      handlers[message.type](message, vector);
    } catch (error) {
      this.socket.restart(`a message of the server could not be used: ${/** @type {Error} */ (error).message}`);
    }
  }

  masterHandlers() {
    return {
      Welcome: this.welcome.bind(this),
      Reload: (/** @type {any} */ {reason}) => this.socket.end("reload", reason),
      Bye: (/** @type {any} */ {reason, retry_ms}) => this.socket.expectClose(reason, retry_ms),
      Refused: this.refused.bind(this),
      Network: this.network.bind(this),
      Assign: this.assign.bind(this),
      Parameters: (/** @type {any} */ {project, iteration, version}, /** @type {Float32Array} */ vector) => {
        this.project(project).parameters = {iteration, version, vector};
      },
      Orders: this.orders.bind(this),
      Status: (/** @type {any} */ status) => this.show({type: "status", status}),
      Roster: this.roster.bind(this),
      Removed: this.removed.bind(this),
    };
  }

  /** @param {import("./protocol.js").Welcome} welcome */
  welcome({client, resume, owner}) {
    Object.assign(this, {client, resume, welcomed: true});
    this.socket.settle();
    this.pulse.start();
    this.show({type: "welcome", client, owner});
    if (this.watched) this.tell("Watch", {project: this.watched});
    if (this.supply.endpoint) this.holds();
    for (const worker of this.workers.values()) {
      worker.joined = false;
      this.join(worker);
    }
  }

  async holds() {
    await this.supply.listed;
    if (this.welcomed) this.tell("Holds", {shards: [...this.supply.held].slice(0, MOST_HOLDS)});
  }

  /** @param {import("./protocol.js").Refused} refused */
  refused({status, reason, about, worker}) {
    const local = this.workers.get(worker);
    if (local && about === "Join") {
      local.joined = false;
      this.retire(local, "failed", reason);
    }
    if (about !== "Answer" && about !== "Ready") return this.show({type: "refused", status, reason, about, worker});
    // Nobody asked for these: an answer that came too late is shown where its worker is, until the next one.
    for (const each of this.workers.values()) if (each.joined) each.reason = reason;
    this.changed();
  }

  /** @param {import("./protocol.js").Roster} roster */
  roster(roster) {
    for (const {client, worker, latency_ms: latencyMs, advice} of roster.rows) {
      const local = client === this.client ? this.workers.get(worker) : undefined;
      if (local) local.advise(latencyMs, advice);
    }
    this.show({type: "roster", roster});
  }

  /** @param {{project: string}} removed */
  removed({project}) {
    for (const worker of [...this.workers.values()]) if (worker.project === project) this.retire(worker);
    this.projects.get(project)?.abandon();
    this.projects.delete(project);
    this.show({type: "removed", project});
  }

  // -------------------------------------------------------------------------------------------------- the page

  /** @returns {import("./port.js").Handlers} */
  pageHandlers() {
    return {
      watch: ({project}) => {
        this.watched = project;
        if (this.welcomed) this.tell("Watch", {project});
      },
      add: message => this.add(message),
      tune: ({worker, ...wish}) => this.tune(this.known(worker), wish),
      remove: ({worker}) => this.remove(this.known(worker)),
      control: ({project, action, settings = {}}) => {
        if (!this.tell("Control", {project, action, settings})) this.refuse("there is no connection to the server");
      },
    };
  }

  /** @param {number} number */
  known(number) {
    const worker = this.workers.get(number);
    if (!worker) throw new Error(`this page has no worker ${number}`);
    return worker;
  }

  /** @param {{project: string, role: string} & Partial<import("./workers.js").Wish>} wish */
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
    const handlers = {
      loaded: (/** @type {any} */ {hash}) => this.loaded(worker, hash),
      result: (/** @type {any} */ {type, iteration, ...answer}) => this.result(worker, iteration, answer),
      failed: (/** @type {any} */ {reason}) => this.failed(worker, reason),
    };
    worker.start(this.surroundings.startWorker(worker.role), this.engine, handlers, reason => this.failed(worker, reason));
    const network = this.project(worker.project).network;
    if (network) worker.post({...network, type: "network"});
    if (first && this.welcomed) this.holds();
    this.join(worker);
  }

  /** @param {LocalWorker} worker */
  async join(worker) {
    await this.supply.listed; // the master allocates by what it was told before
    if (!this.welcomed || !worker.endpoint || worker.joined) return;
    worker.joined = true;
    const {number, project, role, wish} = worker;
    const {capacityVectors: capacity_vectors, capacityBytes: capacity_bytes, intensity} = wish;
    this.tell("Join", {project, worker: number, role, capacity_vectors, capacity_bytes, intensity});
    if (wish.paused) this.tune(worker, {});
  }

  /**
   * @param {LocalWorker} worker
   * @param {Partial<import("./workers.js").Wish>} wish
   */
  tune(worker, wish) {
    const {capacityVectors: capacity_vectors, capacityBytes: capacity_bytes, intensity, paused} = worker.tune(wish);
    if (worker.joined) this.tell("Tune", {worker: worker.number, capacity_vectors, capacity_bytes, intensity, paused});
    this.changed();
  }

  /** @param {LocalWorker} worker */
  remove(worker) {
    if (worker.joined) this.tell("Leave", {worker: worker.number});
    this.retire(worker);
  }

  /**
   * End a worker here; one that failed stays in the table, with its reason.
   * @param {LocalWorker} worker
   * @param {"gone" | "failed"} how
   * @param {string} reason
   */
  retire(worker, how = "gone", reason = "") {
    worker.stop();
    this.supply.forget(worker.number);
    this.ready.delete(worker.number);
    this.projects.get(worker.project)?.drop(worker.number);
    if (how === "gone") this.workers.delete(worker.number);
    else Object.assign(worker, {state: "failed", reason});
    this.changed();
  }

  // ------------------------------------------------------------------------------------------------- the work

  /** @param {string} id */
  project(id) {
    let project = this.projects.get(id);
    if (!project) {
      const {later, cancel} = this.surroundings;
      project = new LocalProject(id, {
        later,
        cancel,
        answer: (project, iteration, results, vector) => this.tell("Answer", {project, iteration, results}, vector),
        leaveOut: (worker, why, late) => this.leftOut(worker, why, late),
      });
      this.projects.set(id, project);
    }
    return project;
  }

  /** @param {import("./protocol.js").Network} network */
  network(network) {
    this.project(network.project).network = network;
    for (const worker of this.workers.values())
      if (worker.project === network.project) worker.post({...network, type: "network"});
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
      this.tell("Ready", {worker: number, assignment: worker.assignment, shards: [...hashes]});
      hashes.clear();
      this.readyTimer ??= this.surroundings.later(() => this.tellReady(), READY_EVERY_MS);
    }
  }

  /** @param {import("./protocol.js").Orders} message */
  orders({project, iteration, orders}) {
    const here = orders.flatMap(order => {
      const worker = this.workers.get(order.worker);
      return worker?.endpoint ? [{order, worker}] : [];
    });
    this.project(project).begin(iteration, here);
    this.changed();
  }

  /**
   * @param {LocalWorker} worker
   * @param {number} iteration
   * @param {{count: number, loss: number, wrong: number, ms: number, all: boolean, gradient: Float32Array | null}} answer
   */
  result(worker, iteration, {all, ...answer}) {
    worker.answered({count: answer.count, ms: answer.ms, all});
    this.projects.get(worker.project)?.accept(iteration, {worker: worker.number, ...answer});
    this.changed();
  }

  /**
   * @param {number} number
   * @param {string} why
   * @param {boolean} late
   */
  leftOut(number, why, late) {
    this.workers.get(number)?.leaveOut(why, late);
    this.changed();
  }

  // -------------------------------------------------------------------------------------------------- failures

  /**
   * A worker stopped with an error: name it, and start it again unless that was tried often enough.
   * @param {LocalWorker} worker
   * @param {string} reason
   */
  failed(worker, reason) {
    if (!worker.endpoint) return;
    this.tell("Failed", {worker: worker.number, reason});
    this.retire(worker, "failed", reason);
    if (worker.restarts >= MOST_RESTARTS) return;
    worker.restarts += 1;
    this.launch(worker);
  }

  /** @param {string} reason */
  supplyFailed(reason) {
    for (const worker of this.workers.values()) if (worker.endpoint) this.failed(worker, reason);
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

  /** Show the page's own workers: at once, and what changes soon after together. */
  changed() {
    this.dirty = true;
    if (!this.rowsTimer) this.showRows();
  }

  showRows() {
    this.rowsTimer = null;
    if (!this.dirty) return;
    this.dirty = false;
    this.show({type: "workers", workers: [...this.workers.values()].map(worker => worker.row())});
    this.rowsTimer = this.surroundings.later(() => this.showRows(), ROWS_EVERY_MS);
  }
}
