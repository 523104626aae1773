// What this page gives: vectors, and the time in which it computed. No timer counts it, since hidden tabs delay timers:
// whatever is heard, the time since the last look belongs to what was so until then.
import { computing } from "./news.js";

const LONG_MS = 5000; // a longer time between two looks may have been sleep (sleep.js)

/** @typedef {Pick<import("./types").Live, "given" | "workers" | "paused" | "connection" | "status">} Live */

export class Giving {
  /** @param {Live} live @param {() => number} clock milliseconds, also while the device sleeps */
  constructor(live, clock) {
    this.live = live;
    this.clock = clock;
    this.looked = clock();
    this.long = { ms: 0, projects: /** @type {string[]} */ ([]) };
    /** @type {Map<number, number>} vectors of each worker, so far */
    this.totals = new Map();
  }

  /** Which projects a worker of this page computes for. */
  projects() {
    const { workers, paused, connection, status } = this.live;
    if (connection.value.state !== "open") return [];
    const at = workers.value.filter(({ worker, role, state }) => role === "trainer" && computing(state) && !paused.value.has(worker));
    const rests = status.value?.state === "paused" ? status.value.project : "";
    return [...new Set(at.map(({ project }) => project))].filter((project) => project !== rests);
  }

  /** Count the time since the last look. */
  count() {
    const now = this.clock(), ms = Math.max(0, now - this.looked);
    this.looked = now;
    const projects = this.projects();
    if (ms > LONG_MS) this.long = { ms, projects };
    for (const project of projects) this.add(project, 0, ms);
  }

  /** Take what the boss says. @param {any} said */
  hear(said) {
    if (said.type === "workers") for (const worker of this.live.workers.value) this.took(worker);
    if (said.type !== "slept") return;
    for (const project of this.long.projects) this.add(project, 0, -Math.min(said.ms, this.long.ms));
    this.long = { ms: 0, projects: [] };
  }

  /** @param {import("./types").MyWorker} worker */
  took({ worker, project, total }) {
    this.add(project, total - (this.totals.get(worker) ?? 0), 0);
    this.totals.set(worker, total);
  }

  /** @param {string} project @param {number} vectors @param {number} ms */
  add(project, vectors, ms) {
    if (!vectors && !ms) return;
    const before = this.live.given.value.get(project) ?? { vectors: 0, ms: 0 };
    this.live.given.value = new Map([...this.live.given.value, [project, { vectors: before.vectors + vectors, ms: before.ms + ms }]]);
  }
}
