// "Only while it charges": for volunteers' phones and laptops. Few browsers tell whether a device charges (Chromium does, over
// HTTPS or on the same machine); where they do not, the page says that it cannot know.
import { html, useEffect, useRef } from "./preact.js";
import { text } from "./text.js";

/** @typedef {import("./types").Env} Env */

const words = text.join;

/** Whether workers wait, because their person wished so and the device does not charge. @param {Env} env */
export const waits = (env) => env.onlyCharging.value && env.charging.value === false;

/** Pause this device's workers while they are to wait; for as long as the page is loaded, whatever it shows. @param {Env} env */
export function useCharging(env) {
  const held = useRef(/** @type {Set<number>} */ (new Set())); // paused by this
  const mine = env.live.workers.value.map(({ worker }) => worker);
  const wait = waits(env);
  useEffect(() => {
    for (const worker of mine) {
      const paused = env.live.paused.value.has(worker);
      if (wait === paused || (paused && !held.current.has(worker))) continue; // what its person paused stays paused
      if (wait) held.current.add(worker);
      else held.current.delete(worker);
      env.live.tune(worker, { paused: wait });
    }
  }, [wait, mine.join()]);
}

/** @param {{env: Env}} props */
export function OnlyCharging({ env }) {
  if (env.charging.value === null) return html`<p class="panel-lead" data-testid="charging-unknown">${env.secure ? words.charging : words.chargingInsecure}</p>`;
  const wish = (/** @type {Event} */ event) => {
    env.onlyCharging.value = /** @type {HTMLInputElement} */ (event.target).checked;
    env.keep("charging", env.onlyCharging.value ? "yes" : "no");
  };
  return html`<label class="check">
    <input type="checkbox" data-testid="only-charging" checked=${env.onlyCharging.value} onChange=${wish} />
    <span>${words.onlyCharging}</span>
  </label>`;
}
