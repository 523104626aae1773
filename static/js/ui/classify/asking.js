// Questions to the newest network: a worker of this page with the role classify, which lives as long as the page is shown.
// - Every question gets its answer or a reason, also when its worker ends.
// - A new snapshot is told by a signal: whoever shows an answer asks again.
import { signal } from "../preact.js";
import { words } from "./text.js";

/** @typedef {import("../types").Env} Env @typedef {import("./types").Snapshot} Snapshot @typedef {import("./types").Answer} Answer @typedef {import("./types").Values} Values */

/** The network has no parameters at the moment: after it grew they are on their way. */
export class NotYet extends Error {}

export class Network {
  /** @param {Env} env @param {string} project */
  constructor(env, project) {
    this.live = env.live;
    this.project = project;
    this.worker = -1;
    this.asked = 0;
    /** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void}>} */
    this.open = new Map();
    this.snapshot = signal(/** @type {Snapshot | null} */ (null));
    this.problem = signal("");
  }

  /** Start the worker. @returns {() => void} ends it */
  start() {
    this.before = new Set(this.live.workers.peek().map(({ worker }) => worker));
    const deaf = this.live.hear((said) => this.hear(said));
    this.live.say({ type: "add", project: this.project, role: "classify" });
    return () => {
      deaf();
      if (this.worker >= 0) this.live.say({ type: "remove", worker: this.worker });
      this.reject(words.left);
    };
  }

  /** @param {any} said */
  hear(said) {
    if (said.type === "workers") this.rows(said.workers);
    if (said.type !== "told") return;
    if (this.worker < 0 && said.project === this.project && !this.before?.has(said.worker)) this.worker = said.worker; // rows come seldom
    if (said.worker !== this.worker) return;
    if (said.what === "snapshot") this.snapshot.value = said;
    const question = this.open.get(said.id);
    if (!question) return;
    this.open.delete(said.id);
    if (said.reason) question.reject(/no parameters/.test(said.reason) ? new NotYet(said.reason) : new Error(said.reason));
    else question.resolve(said);
  }

  /** @param {import("../types").MyWorker[]} workers */
  rows(workers) {
    const mine = workers.find(({ worker, role, project }) => (this.worker < 0 ? role === "classify" && project === this.project && !this.before?.has(worker) : worker === this.worker));
    if (mine) this.worker = mine.worker;
    this.problem.value = mine?.state === "failed" ? mine.reason : "";
    if (mine?.state === "failed" || (!mine && this.worker >= 0)) this.reject(words.lookerStopped);
  }

  /** @param {string} reason */
  reject(reason) {
    for (const { reject } of this.open.values()) reject(new Error(reason));
    this.open.clear();
  }

  /** @param {object} question @returns {Promise<any>} */
  ask(question) {
    if (this.worker < 0 || !this.snapshot.peek()) return Promise.reject(new NotYet(words.notYet));
    const id = ++this.asked;
    return new Promise((resolve, reject) => {
      this.open.set(id, { resolve, reject });
      this.live.say({ type: "ask", worker: this.worker, id, ...question });
    });
  }

  /** @param {Uint8Array} pixels @returns {Promise<Answer>} */
  classify(pixels) {
    return this.ask({ what: "classify", pixels, n: 1 });
  }

  /** @param {Uint8Array} pixels of n pictures @param {number} n @returns {Promise<Answer>} probabilities [n][outputs] */
  classifyAll(pixels, n) {
    return this.ask({ what: "classify", pixels, n });
  }

  /** What a layer computes for a picture. @param {Uint8Array} pixels @param {string} layer @returns {Promise<Values>} */
  look(pixels, layer) {
    return this.ask({ what: "look", pixels, layer }).then((said) => ({ ...said, name: said.layer }));
  }

  /** A block of parameters. @param {string} name @returns {Promise<Values>} */
  weights(name) {
    return this.ask({ what: "weights", name });
  }
}
