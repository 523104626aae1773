// How each layer learns: its rate and decay as multiples of the project's, and whether it is frozen; while it trains.
import { html } from "./preact.js";
import { describe } from "./shapes.js";
import { layerWords as words } from "./training/text.js";
import { text } from "./text.js";
import { TypedInput } from "./typed.js";

/** @typedef {import("./types").Layer} Layer */
/** @typedef {{learning_rate?: string, l2?: string, frozen?: boolean}} Tuning what was typed */
/** @typedef {Record<string, Tuning>} Tunings by the layer's name */

/** The multiple that a layer has, 1 unless said. @param {Layer} layer @param {"learning_rate" | "l2"} key */
export const multiple = (layer, key) => Number(layer[key] ?? 1);

/**
 * What was changed, as the server takes it, or a sentence about what is no number.
 * @param {Layer[]} layers @param {Tunings} tunings
 */
export function changesOf(layers, tunings) {
  /** @type {Record<string, Record<string, number | boolean>>} */
  const changes = {};
  for (const { layer, name } of describe(layers, 1)) {
    const { learning_rate, l2, frozen } = tunings[name] ?? {};
    for (const [key, typed] of Object.entries({ learning_rate, l2 })) {
      if (typed === undefined) continue;
      if (typed.trim() === "" || !(Number(typed) >= 0)) return { changes: {}, problem: text.settings.number(`${name}: ${key === "l2" ? words.decay : words.rate}`) };
      if (Number(typed) !== multiple(layer, /** @type {"l2"} */ (key))) changes[name] = { ...changes[name], [key]: Number(typed) };
    }
    if (frozen !== undefined && frozen !== !!layer.frozen) changes[name] = { ...changes[name], frozen };
  }
  return { changes, problem: "" };
}

/** @param {{layers: Layer[], labels: number, tunings: Tunings, set: (tunings: Tunings) => void}} props */
export const TunedLayers = ({ layers, labels, tunings, set }) => html`
  <fieldset class="tuned">
    <legend>${words.title}</legend>
    <p class="field-note">${words.lead}</p>
    ${describe(layers, labels || 1)
      .filter(({ parameters }) => parameters > 0)
      .map(({ layer, name }) => {
        const tuning = tunings[name] ?? {};
        const change = (/** @type {Tuning} */ more) => set({ ...tunings, [name]: { ...tuning, ...more } });
        return html`<div class="tuned-layer" key=${name} data-testid="tuned-layer">
          <span class="tuned-name">${text.network.kinds[layer.type] ?? layer.type}<span class="layer-options">${name}</span></span>
          <${LearningFields} name=${name} rate=${tuning.learning_rate ?? String(multiple(layer, "learning_rate"))} decay=${tuning.l2 ?? String(multiple(layer, "l2"))} frozen=${tuning.frozen ?? !!layer.frozen} change=${change} />
        </div>`;
      })}
  </fieldset>
`;

/**
 * The three fields of a layer, here and in the layer editor.
 * @param {{name: string, rate: string, decay: string, frozen: boolean, change: (more: Tuning) => void}} props
 */
export function LearningFields({ name, rate, decay, frozen, change }) {
  const number = { type: "number", min: "0", step: "any", inputmode: "decimal", disabled: frozen };
  return html`
    <label><span>${words.rate}</span><${TypedInput} ...${number} data-testid=${`rate-${name}`} aria-label=${words.rateOf(name)} value=${rate} set=${(/** @type {string} */ learning_rate) => change({ learning_rate })} /></label>
    <label><span>${words.decay}</span><${TypedInput} ...${number} data-testid=${`decay-${name}`} aria-label=${words.decayOf(name)} value=${decay} set=${(/** @type {string} */ l2) => change({ l2 })} /></label>
    <label><input type="checkbox" data-testid=${`frozen-${name}`} aria-label=${words.frozenOf(name)} checked=${frozen} onChange=${(/** @type {Event} */ event) => change({ frozen: /** @type {HTMLInputElement} */ (event.target).checked })} /><span>${words.frozen}</span></label>
  `;
}
