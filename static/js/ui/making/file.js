// Layers from a JSON file: a list of layers, a model of ours, or one of the prototype of 2015.
import { Icon } from "../icons.js";
import { html, useId, useSignal } from "../preact.js";
import { confsIn, layersOf2015 } from "./prototype.js";
import { create as words } from "./text.js";

/** @typedef {import("../types").Layer} Layer */

/** @param {{take: (layers: Layer[]) => void}} props */
export function FromFile({ take }) {
  const id = useId();
  const problem = useSignal("");
  const taken = useSignal("");
  const read = async (/** @type {Event} */ event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    const file = input.files?.[0];
    if (!file) return;
    const { layers, problem: wrong } = layersIn(await file.text(), file.name);
    [problem.value, taken.value] = [wrong, wrong ? "" : words.taken(file.name, layers.length)];
    if (layers.length) take(layers);
    input.value = "";
  };
  return html`<span class="choose-file">
    <input id=${id} class="sr-only" type="file" accept=".json,application/json" data-testid="layers-file" onChange=${read} />
    <label class="button small" for=${id}><${Icon} name="upload" />${words.file}</label>
    ${problem.value ? html`<span class="field-note bad" role="alert">${problem.value}</span>` : html`<span class="field-note" role="status">${taken.value || words.fileHint}</span>`}
  </span>`;
}

/** The layers in a JSON text, without the normalisation that a model has learned. @param {string} text @param {string} name of the file @returns {{layers: Layer[], problem: string}} */
function layersIn(text, name) {
  const wrong = (/** @type {string} */ problem) => ({ layers: [], problem });
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    return wrong(words.notLayers(name));
  }
  const confs = confsIn(found);
  const layers = confs ? layersOf2015(confs) : Array.isArray(found) ? found : found?.layers;
  if (typeof layers === "string") return wrong(words.not2015(name, layers));
  if (!areLayers(layers) || !layers.length) return wrong(words.notLayers(name));
  return { layers: layers.map(({ mean: _mean, std: _std, ...layer }) => layer), problem: "" };
}

/** @param {unknown} found @returns {found is Layer[]} */
export const areLayers = (found) => Array.isArray(found) && found.every((layer) => typeof layer?.type === "string");

/** One layer a line, as people read it. @param {Layer[]} layers */
export const pretty = (layers) => `[\n${layers.map((layer) => `  ${JSON.stringify(layer)}`).join(",\n")}\n]`;
