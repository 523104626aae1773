// What the boss says, as signals; what the page wishes, as messages to it. The only module that speaks "Page and boss".
import { Giving } from "./giving.js";
import { batch, signal } from "./preact.js";
import { text } from "./text.js";

/** @typedef {import("./types").Live} Live */

/**
 * @param {import("../workers.js").WorkerEndpoint} boss
 * @param {boolean} owner what the page was served as, until the master says
 * @param {() => number} now milliseconds
 * @param {() => number} clock milliseconds, also while the device sleeps
 * @returns {Live}
 */
export function connect(boss, owner, now, clock) {
  const live = {
    connection: signal({ state: "connecting", reason: "", retryMs: 0, since: now() }),
    owner: signal(owner),
    client: signal(-1),
    status: signal(/** @type {import("./types").Status | null} */ (null)),
    roster: signal(/** @type {import("./types").Roster | null} */ (null)),
    workers: signal(/** @type {import("./types").MyWorker[]} */ ([])),
    given: signal(/** @type {import("./types").Live["given"]["value"]} */ (new Map())),
    paused: signal(/** @type {ReadonlySet<number>} */ (new Set())),
    refusal: signal(/** @type {import("./types").Refusal | null} */ (null)),
    removed: signal(""),
    report: signal(/** @type {import("./statistics/types").Evaluated | null} */ (null)),
    slept: signal(0),
  };
  /** @type {Set<(said: any) => void>} */
  const listeners = new Set();
  const giving = new Giving(live, clock);
  boss.onmessage = ({ data }) =>
    batch(() => {
      giving.count(); // by what was so until now
      hear(live, data, now);
      giving.hear(data);
      for (const listener of listeners) listener(data);
    });
  boss.onerror = ({ message }) => {
    if (live.client.value >= 0) return; // a fault of one that works: the browser's console has it
    const reason = text.connection.noBoss(message || text.connection.noScript);
    live.connection.value = { state: "closed", reason, retryMs: 0, since: now() };
  };
  return { ...live, ...wishes(boss, live), ...whole(boss, listeners), count: () => giving.count() };
}

/** @param {Heard} live @param {any} said @param {() => number} now */
function hear(live, said, now) {
  switch (said.type) {
    case "connection":
      live.connection.value = { state: said.state, reason: said.reason ?? "", retryMs: said.retryMs ?? 0, since: now() };
      return;
    case "welcome":
      live.client.value = said.client;
      live.owner.value = said.owner;
      return;
    case "status":
      live.status.value = said.status;
      return;
    case "roster":
      live.roster.value = said.roster;
      return;
    case "workers":
      live.workers.value = [...said.workers];
      return;
    case "refused":
      live.refusal.value = { status: said.status, reason: said.reason, about: said.about, worker: said.worker };
      return;
    case "slept":
      live.slept.value = said.ms;
      return;
    case "told":
      if (said.what === "report") live.report.value = { project: said.project, ...said.report };
      return;
    case "removed":
      live.removed.value = said.project;
  }
}

/** For a page that speaks about more than everybody does: messages as they are. @param {{postMessage(message: object): void}} boss @param {Set<(said: any) => void>} listeners */
const whole = (boss, listeners) => ({
  /** @param {(said: any) => void} listener */
  hear(listener) {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
  /** @param {object} message */
  say: (message) => boss.postMessage(message),
});

/** @typedef {Omit<Live, "watch" | "add" | "tune" | "remove" | "keep" | "touched" | "hear" | "say" | "count">} Heard what the boss said last */

/** @param {{postMessage(message: object): void}} boss @param {Heard} live */
function wishes(boss, live) {
  return {
    /** @param {string} project @param {boolean} [table] whether the workers of others are shown, too */
    watch(project, table = false) {
      live.status.value = null;
      live.roster.value = null;
      boss.postMessage({ type: "watch", project, table });
    },
    /** @param {string} project @param {import("./types").Gift} gift */
    add: (project, gift) => boss.postMessage({ type: "add", project, role: "trainer", ...gift }),
    /** @param {number} worker @param {Partial<import("./types").Gift> & {paused?: boolean}} change */
    tune(worker, change) {
      const { paused = live.paused.value.has(worker) } = change;
      const rest = new Set(live.paused.value);
      if (paused) rest.add(worker);
      else rest.delete(worker);
      live.paused.value = rest;
      boss.postMessage({ type: "tune", worker, ...change }); // the rest stays as it was
    },
    /** @param {number} worker */
    remove: (worker) => boss.postMessage({ type: "remove", worker }),
    /** @param {number} bytes */
    keep: (bytes) => boss.postMessage({ type: "keep", bytes }),
    /** A person uses this page: it goes before its workers. */
    touched: () => boss.postMessage({ type: "touched" }),
  };
}
