/* The boss: one browser's coordinator and the owner of its connection.
 *
 * Rules of this file:
 * - It routes: page and master each have a table of handlers; what they change lives elsewhere (project.js, crew.js).
 * - Messages drive it. The connection may go and come, under the old identity.
 * - Nothing global is touched: sockets, workers, clocks and the engine come from entry/boss.js, or from a test.
 */

import {Crew} from "./crew.js";
import {listen, send} from "./port.js";
import {LocalProject} from "./project.js";
import {PROTOCOL, decode, encode} from "./protocol.js";
import {Pulse} from "./pulse.js";
import {reasons} from "./reasons.js";
import {noticeSleep} from "./sleep.js";
import {Socket} from "./socket.js";

/** @typedef {{engine: string, engine_url: string, data_url: string}} Config the answer of /api/config */
/**
 * @typedef {object} Own
 * @property {() => WebSocket} open a connection to the master
 * @property {string} device a name of this device for people
 * @property {() => number} random in [0, 1)
 * @property {() => number} now milliseconds of a clock that runs while the device sleeps
 */
/** @typedef {Own & import("./crew.js").Surroundings} Surroundings */

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
    /** @type {Map<string, LocalProject>} */
    this.projects = new Map();
    this.watched = "";
    this.table = false; // whether the page shows the workers of others, too
    this.client = -1;
    this.resume = "";
    /** @type {Map<string, number>} how many bytes must have left for a project's last vector to be gone */
    this.leaving = new Map();
    this.welcomed = false;
    this.owner = false;
    this.socket = new Socket(surroundings, {
      onOpen: () => this.hello(),
      onFrame: frame => this.receive(frame),
      onState: (state, reason, retryMs) => this.connection(state, reason, retryMs),
    });
    this.pulse = new Pulse(
      surroundings.later,
      () => this.watched && this.watch(),
      () => this.watched && this.socket.restart(reasons.server.silent),
    );
    this.crew = new Crew(surroundings, config.data_url, {
      tell: (type, fields) => this.tell(type, fields),
      show: (message, transfer) => this.show(message, transfer),
      welcomed: () => this.welcomed,
      owner: () => this.owner,
      project: id => this.project(id),
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

  /**
   * @param {import("./port.js").Message} message to the page
   * @param {Transferable[]} [transfer]
   */
  show(message, transfer = []) {
    send(this.page, message, transfer);
  }

  /** @param {string} reason */
  refuse(reason) {
    this.show({type: "refused", status: 400, reason, about: "", worker: -1});
  }

  // ---------------------------------------------------------------------------------------------- the connection

  hello() {
    const {config, resume, surroundings} = this;
    this.tell("Hello", {protocol: PROTOCOL, engine: config.engine, resume, device: surroundings.device});
  }

  /**
   * @param {import("./socket.js").State} state
   * @param {string} reason
   * @param {number} retryMs
   */
  connection(state, reason, retryMs) {
    const ended = state === "reload" || state === "closed";
    if (state === "lost" || ended) {
      this.welcomed = false;
      this.pulse.stop();
      this.leaving.clear();
      for (const project of this.projects.values()) project.abandon();
    }
    if (ended) for (const worker of [...this.crew.workers.values()]) this.crew.retire(worker);
    this.show({type: "connection", state, reason, retryMs});
  }

  /** @param {ArrayBuffer} frame */
  receive(frame) {
    this.pulse.heard();
    try {
      const {message, vector} = decode(frame);
      /** @type {{[type: string]: (message: any, vector: any) => void}} */
      const handlers = this.masterHandlers();
      if (!(message.type in handlers)) throw new Error(`the type ${JSON.stringify(message.type)} is unknown`);
      handlers[message.type](message, vector);
    } catch (error) {
      this.socket.restart(reasons.server.unusable(/** @type {Error} */ (error).message));
    }
  }

  masterHandlers() {
    return {
      Welcome: this.welcome.bind(this),
      Reload: (/** @type {import("./protocol.js").Reload} */ {reason}) => this.socket.end("reload", reason),
      Bye: (/** @type {import("./protocol.js").Bye} */ {reason, retry_ms}) => this.socket.expectClose(reason, retry_ms),
      Refused: this.refused.bind(this),
      Network: this.network.bind(this),
      Assign: (/** @type {import("./protocol.js").Assign} */ message) => this.crew.assign(message),
      Parameters: this.parameters.bind(this),
      Orders: this.orders.bind(this),
      Status: (/** @type {import("./protocol.js").Status} */ status) => this.show({type: "status", status}),
      Roster: this.roster.bind(this),
      Removed: this.removed.bind(this),
    };
  }

  /** @param {import("./protocol.js").Welcome} welcome */
  welcome({client, resume, owner}) {
    Object.assign(this, {client, resume, owner, welcomed: true});
    this.socket.settle();
    this.pulse.start();
    this.show({type: "welcome", client, owner});
    if (this.watched) this.watch();
    this.crew.rejoin();
  }

  /** @param {import("./protocol.js").Refused} refused */
  refused({status, reason, about, worker}) {
    if (about === "Join") this.crew.turnedAway(worker, reason);
    if (about === "Answer" && status === 409) return; // too late: whose fault it was is seen in the worker's state
    if (about === "Report" && status === 409) return; // too late, or another of the owner's workers was quicker
    this.show({type: "refused", status, reason, about, worker});
  }

  /** @param {import("./protocol.js").Roster} roster */
  roster(roster) {
    this.crew.advise(roster.rows, this.client);
    this.show({type: "roster", roster});
  }

  // ------------------------------------------------------------------------------------------------ the projects

  /** @param {string} id */
  project(id) {
    let project = this.projects.get(id);
    if (!project) {
      project = new LocalProject(id, {
        later: this.surroundings.later,
        cancel: this.surroundings.cancel,
        answer: (project, iteration, results, vector) => this.answer(project, iteration, results, vector),
        leaveOut: (worker, why, late) => this.crew.leaveOut(worker, why, late),
      });
      this.projects.set(id, project);
    }
    return project;
  }

  /**
   * Answer; without the vector while the one before has not left: a slow link would never be done with both, and both
   * would be late.
   * @param {string} project
   * @param {number} iteration
   * @param {import("./combiner.js").Result[]} results
   * @param {Float32Array | null} vector
   */
  answer(project, iteration, results, vector) {
    if (vector && (this.leaving.get(project) ?? 0) > this.socket.left) {
      this.crew.trouble(results.map(({worker}) => worker), reasons.answer.busyLink);
      this.tell("Answer", {project, iteration, results: []});
    } else if (this.tell("Answer", {project, iteration, results}, vector) && vector) {
      this.leaving.set(project, this.socket.given);
    }
  }

  /** @param {import("./protocol.js").Network} network */
  network(network) {
    this.project(network.project).network = network;
    this.crew.network(network);
  }

  /**
   * @param {import("./protocol.js").Parameters} parameters
   * @param {Float32Array} vector
   */
  parameters({project, iteration, version}, vector) {
    const parameters = (this.project(project).parameters = {iteration, version, vector});
    this.crew.snapshot(project, parameters);
  }

  /** @param {import("./protocol.js").Orders} message */
  orders({project, iteration, orders, margin_ms}) {
    this.project(project).begin(iteration, this.crew.withWorkers(orders), margin_ms);
    this.crew.changed();
  }

  /** @param {{project: string}} removed */
  removed({project}) {
    this.projects.get(project)?.abandon(); // nobody takes its answer any more
    for (const worker of this.crew.of(project)) this.crew.retire(worker);
    this.projects.delete(project);
    this.show({type: "removed", project});
  }

  // -------------------------------------------------------------------------------------------------- the page

  watch() {
    this.tell("Watch", {project: this.watched, table: this.table});
  }

  /** @returns {import("./port.js").Handlers} */
  pageHandlers() {
    const {crew} = this;
    return {
      watch: ({project, table = false}) => {
        this.watched = project;
        this.table = table;
        if (this.welcomed) this.watch();
      },
      add: message => crew.add(message),
      tune: ({worker, ...wish}) => crew.tune(crew.known(worker), wish),
      remove: ({worker}) => crew.remove(crew.known(worker)),
      keep: ({bytes}) => crew.supply.keep(bytes),
      touched: () => crew.giveWay(),
      ask: ({worker, ...question}) => crew.known(worker).ask(question),
      control: ({project, action, settings = {}}) => {
        if (!this.tell("Control", {project, action, settings})) this.refuse(reasons.server.noConnection);
      },
    };
  }
}
