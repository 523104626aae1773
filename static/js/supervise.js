/* A worker that is started again when it does not come up.
 *
 * Rules of this file:
 * - What is sent before the worker's first word waits for it: a browser may lose what comes before the script has run.
 * - A script that cannot be loaded, or says nothing for START_MS, is started anew, TRIES times in all; then that is said.
 * - A worker that has spoken is left alone.
 */

export const START_MS = 10_000;
export const AGAIN_MS = 1000;
export const TRIES = 4;

/** @typedef {{postMessage(message: object): void, terminate(): void, onmessage: ((event: any) => void) | null, onerror: ((event: any) => void) | null}} Started */

/**
 * Start a worker, and see that it comes up.
 * @param {() => Started} create
 * @param {{later: (run: () => void, ms: number) => number, cancel: (timer: number) => void}} clock
 * @param {(reason: string) => object} given the message that listeners get when it never came up
 */
export function supervise(create, clock, given) {
  /** @type {((event: {data: any}) => void)[]} */
  const listeners = [];
  /** @type {object[]} */
  let waiting = [];
  /** @type {Started} */
  let worker;
  let speaks = false, tries = 0;
  const tell = (/** @type {{data: any}} */ event) => listeners.forEach(heard => heard(event));

  function start() {
    tries += 1;
    const mine = worker = create();
    const timer = clock.later(() => lost("it said nothing"), START_MS);
    const lost = (/** @type {string} */ reason) => {
      if (speaks || worker !== mine) return;
      clock.cancel(timer);
      mine.onmessage = mine.onerror = null;
      mine.terminate();
      if (tries < TRIES) clock.later(start, AGAIN_MS * tries);
      else tell({data: given(reason)});
    };
    mine.onerror = event => lost(event.message || "its script could not be loaded");
    mine.onmessage = event => {
      if (!speaks) {
        speaks = true;
        clock.cancel(timer);
        for (const message of waiting) mine.postMessage(message);
        waiting = [];
      }
      tell(event);
    };
  }

  start();
  return {
    /** @param {object} message */
    postMessage: message => speaks ? worker.postMessage(message) : void waiting.push(message),
    /** @param {"message"} _type @param {(event: any) => void} heard */
    addEventListener: (_type, heard) => void listeners.push(heard),
  };
}
