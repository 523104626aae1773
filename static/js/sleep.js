/* Notices that this device or tab slept: timers did not run, the clock did. */

const TICK_MS = 1000; // what it is told is short by so much at most
const SLEPT_MS = 5000; // more than a busy device delays a timer

/**
 * @param {{later: (work: () => void, ms: number) => any, now: () => number}} surroundings
 * @param {(ms: number) => void} slept called at each awakening
 */
export function noticeSleep({later, now}, slept) {
  let before = now();
  const tick = () => {
    const late = now() - before - TICK_MS;
    before = now();
    if (late > SLEPT_MS) slept(late);
    later(tick, TICK_MS);
  };
  later(tick, TICK_MS);
}
