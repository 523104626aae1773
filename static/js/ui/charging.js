// "Only while it charges": for volunteers' phones and laptops. Few browsers tell whether a device charges (Chromium does, over
// HTTPS or on the same machine); where they do not, the page says that it cannot know.
import { html, useEffect, useRef, useSignal } from "./preact.js";
import { text } from "./text.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").MyWorker} MyWorker */

const words = text.join;

/**
 * Pause this device's workers while it does not charge, if its person wished so.
 * @param {Env} env @param {MyWorker[]} mine
 * @returns {{wished: boolean, waits: boolean, wish: (yes: boolean) => void}} `waits`: it does not compute because it does not charge
 */
export function useCharging(env, mine) {
  const wished = useSignal(env.recall("charging") === "yes");
  const held = useRef(/** @type {Set<number>} */ (new Set())); // paused by this
  const waits = wished.value && env.charging.value === false;
  useEffect(() => {
    for (const { worker } of mine) {
      const paused = env.live.paused.value.has(worker);
      if (waits === paused || (paused && !held.current.has(worker))) continue; // what its person paused stays paused
      if (waits) held.current.add(worker);
      else held.current.delete(worker);
      env.live.tune(worker, { paused: waits });
    }
  }, [waits, mine.map(({ worker }) => worker).join()]);
  const wish = (/** @type {boolean} */ yes) => {
    wished.value = yes;
    env.keep("charging", yes ? "yes" : "no");
  };
  return { wished: wished.value, waits, wish };
}

/** @param {{env: Env, wished: boolean, wish: (yes: boolean) => void}} props */
export const OnlyCharging = ({ env, wished, wish }) =>
  env.charging.value === null
    ? html`<p class="panel-lead" data-testid="charging-unknown">${words.charging}</p>`
    : html`<label class="check">
        <input type="checkbox" data-testid="only-charging" checked=${wished} onChange=${(/** @type {Event} */ event) => wish(/** @type {HTMLInputElement} */ (event.target).checked)} />
        <span>${words.onlyCharging}</span>
      </label>`;
