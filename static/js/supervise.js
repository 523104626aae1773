/* A Web Worker that is started again when it does not come up.
 *
 * Rules of this file:
 * - What is sent before the worker's first word waits for it: Firefox may lose what comes before a module has run.
 * - A script that cannot be loaded, or says nothing for START_MS, is started anew, TRIES times in all; then onerror is told.
 * - A worker that has spoken is left alone. A first word of the type "up" says no more than that, and is kept here.
 */

import {reasons} from "./reasons.js";

export const START_MS = 20_000;
export const AGAIN_MS = 1000;
export const TRIES = 4;

/** @typedef {import("./workers.js").WorkerEndpoint} WorkerEndpoint */
/** @typedef {{later: (run: () => void, ms: number) => any, cancel: (timer: any) => void}} Timers */

/**
 * Start a worker, and see that it comes up.
 * @param {() => WorkerEndpoint} create
 * @param {Timers} timers
 * @returns {WorkerEndpoint} it, whichever of its starts succeeds
 */
export function supervise(create, timers) {
  /** @type {{message: object, transfer: Transferable[]}[]} */
  let waiting = [];
  /** @type {WorkerEndpoint | null} */
  let worker = null;
  let speaks = false, tries = 0;
  /** @type {any} */
  let timer = null;

  /** @type {WorkerEndpoint} */
  const endpoint = {
    onmessage: null,
    onerror: null,
    postMessage(message, transfer = []) {
      if (speaks) worker?.postMessage(message, transfer);
      else waiting.push({message, transfer});
    },
    terminate() {
      timers.cancel(timer);
      worker?.terminate();
      worker = null;
      waiting = [];
    },
  };

  function start() {
    tries += 1;
    const mine = worker = create();
    timer = timers.later(() => lost({message: reasons.worker.saidNothing}), START_MS);
    const lost = (/** @type {any} */ event) => {
      if (worker !== mine) return;
      if (speaks) return endpoint.onerror?.(event);
      timers.cancel(timer);
      mine.terminate();
      if (tries < TRIES) timer = timers.later(start, AGAIN_MS * tries);
      else endpoint.onerror?.(event);
    };
    mine.onerror = lost;
    mine.onmessage = event => {
      if (worker !== mine) return;
      if (!speaks) {
        speaks = true;
        timers.cancel(timer);
        for (const {message, transfer} of waiting.splice(0)) mine.postMessage(message, transfer);
      }
      if (event.data?.type !== "up") endpoint.onmessage?.(event);
    };
  }

  start();
  return endpoint;
}
