// A new project: name, network, period, hyper-parameters. What the server refuses is shown at the field that it is about.
import { LayerEditor } from "./editor.js";
import { HYPER, readHyper } from "./hyper.js";
import { Icon } from "./icons.js";
import { Lazily } from "./lazily.js";
import { areLayers, FromFile, pretty } from "./making/file.js";
import { create as words, editing, presetGroups } from "./making/text.js";
import { Field, Problem } from "./parts.js";
import { html, signal, useEffect, useMemo, useRef, useSignal } from "./preact.js";
import { layersOf, PRESETS } from "./presets.js";
import { HyperFields } from "./settings.js";
import { inputSize } from "./shapes.js";
import { SizeInputs } from "./size.js";
import { text } from "./text.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").Layer} Layer */
/** @typedef {{name: string, preset: string, edits: import("./editor.js").Edits, period: string, json: string, hyper: Record<string, string>}} Draft */

const OWN = "own"; // the layers as JSON
const EDITED = "edited"; // a preset that was changed

/** @param {import("./presets.js").Preset} preset */
const ratesOf = (preset) => ({ ...PLAIN, learning_rate: String(preset.learning_rate), warmup: String(preset.warmup), ...preset.hyper });

/** What some preset sets, as it is in all others. @type {Record<string, string>} */
const PLAIN = Object.fromEntries(HYPER.filter(({ key }) => PRESETS.some(({ hyper }) => hyper && key in hyper)).map(({ key, value }) => [key, String(value)]));

/** @param {string} id @returns {Draft} */
function draftOf(id) {
  const preset = PRESETS.find((known) => known.id === id) ?? PRESETS[0];
  const hyper = { ...Object.fromEntries(HYPER.map(({ key, value }) => [key, String(value)])), ...ratesOf(preset) };
  const edits = { layers: layersOf(preset, preset.size), past: [], future: [] };
  return { name: "", preset: preset.id, edits, period: String(preset.period), json: "", hyper };
}

/** @param {Draft} draft @returns {{layers: Layer[], problem: string}} */
function readLayers(draft) {
  if (draft.preset !== OWN) return { layers: draft.edits.layers, problem: "" };
  try {
    const layers = JSON.parse(draft.json);
    return areLayers(layers) ? { layers, problem: "" } : { layers: [], problem: words.notList };
  } catch (error) {
    return { layers: [], problem: words.json(/** @type {Error} */ (error).message) };
  }
}

/** What can be seen to be wrong before the server is asked: field -> sentence. @param {Draft} draft @returns {Record<string, string>} */
function check(draft) {
  /** @type {Record<string, string>} */
  const problems = {};
  const period = Number(draft.period);
  if (!draft.name.trim()) problems.name = words.nameMissing;
  if (!(period >= 0.2 && period <= 60)) problems.period = words.periodWrong;
  const { problem } = readLayers(draft);
  if (problem) problems.layers = problem;
  const wrong = readHyper(draft.hyper, {}).problem;
  if (wrong) problems.settings = wrong;
  return problems;
}

/**
 * What the dialog holds; `kept`: what was begun stays when it is closed and opened again.
 * @param {{env: Env, kept: {current: import("./preact.js").Signal<Draft> | null}, close: () => void}} props
 */
export function NewProject({ env, kept, close }) {
  const draft = useMemo(() => (kept.current ??= signal(draftOf("digits"))), []);
  const problems = useSignal(/** @type {Record<string, string>} */ ({}));
  const busy = useSignal(false);
  const begin = useSignal("network");
  const set = (/** @type {Partial<Draft>} */ change) => (draft.value = { ...draft.value, ...change });
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    problems.value = check(draft.value);
    if (Object.keys(problems.value).length || busy.value) return;
    busy.value = true;
    const { name, period, hyper } = draft.value;
    const settings = { period: Number(period), ...readHyper(hyper, defaults()).changed };
    await env.api.create(name.trim(), readLayers(draft.value).layers, settings).then(
      (project) => {
        kept.current = null;
        close();
        env.go(`/project/${encodeURIComponent(project.id)}`);
      },
      (error) => (problems.value = { [error.field in FIELDS ? error.field : "form"]: error.message }),
    );
    busy.value = false;
  };
  if (begin.value === "model") return html`<${Lazily} load=${fromModel} with=${{ env, begin: html`<${Begin} chosen=${begin} />`, close }} frame="sheet-scroll" />`;
  return html`<form class="sheet-form" onSubmit=${submit} noValidate>
    <div class="sheet-scroll">
      <${Begin} chosen=${begin} />
      <p class="quiet-line">${words.lead}</p>
      <${NameField} draft=${draft.value} set=${set} problem=${problems.value.name} />
      <${NetworkFields} draft=${draft.value} set=${set} problem=${problems.value.layers} />
      <${PeriodField} draft=${draft.value} set=${set} problem=${problems.value.period} />
      <details class="more" open=${!!problems.value.settings}>
        <summary><${Icon} name="chevron" />${words.hyper}<span class="summary-note">${words.hyperHint}</span></summary>
        <${HyperFields} known=${HYPER} values=${draft.value.hyper} set=${(/** @type {Record<string, string>} */ hyper) => set({ hyper })} />
        ${problems.value.settings && html`<${Problem}>${problems.value.settings}<//>`}
      </details>
      ${problems.value.form && html`<${Problem}>${problems.value.form}<//>`}
    </div>
    <div class="dialog-foot">
      <button type="button" class="plain" data-testid="cancel" onClick=${close}>${text.cancel}</button>
      <button type="submit" class="primary" data-testid="create" disabled=${busy.value}>${busy.value ? words.working : words.submit}</button>
    </div>
  </form>`;
}

const fromModel = () => import("./models/begin.js").then(({ FromModel }) => FromModel);

/** With what a project begins. @param {{chosen: import("./preact.js").Signal<string>}} props */
const Begin = ({ chosen }) => html`
  <fieldset class="segments begin">
    <legend>${words.begin}</legend>
    ${Object.entries(words.begins).map(
      ([id, label]) => html`<label>
        <input type="radio" name="begin" data-testid=${`begin-${id}`} checked=${chosen.value === id} onChange=${() => (chosen.value = id)} />
        <span>${label}</span>
      </label>`,
    )}
  </fieldset>
`;

const FIELDS = { name: 1, layers: 1, period: 1, settings: 1 };
const defaults = () => Object.fromEntries(HYPER.map(({ key, value }) => [key, value]));

/** @typedef {{draft: Draft, set: (change: Partial<Draft>) => void, problem?: string}} Part */

/** @param {Event} event */
const typed = (event) => /** @type {HTMLInputElement} */ (event.target).value;

/** @param {Part} props */
function NameField({ draft, set, problem }) {
  const box = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => box.current?.focus(), []); // the form is fetched after the dialog was opened, too late for autofocus
  return html`<${Field}
    label=${words.name}
    hint=${words.nameHint}
    problem=${problem}
    control=${(/** @type {object} */ tied) =>
      html`<input ...${tied} ref=${box} type="text" data-testid="project-name" value=${draft.name} maxlength="100" autocomplete="off" onInput=${(/** @type {Event} */ event) => set({ name: typed(event) })} />`}
  />`;
}

/** @param {Part} props */
const PeriodField = ({ draft, set, problem }) => html`
  <${Field}
    label=${words.period}
    hint=${words.periodHint}
    problem=${problem}
    class="short"
    control=${(/** @type {object} */ tied) => html`<span class="with-unit">
      <input ...${tied} type="number" data-testid="period" value=${draft.period} min="0.2" max="60" step="any" inputmode="decimal" onInput=${(/** @type {Event} */ event) => set({ period: typed(event) })} />
      <span aria-hidden="true">s</span>
    </span>`}
  />
`;

/** @param {Part} props */
function NetworkFields({ draft, set, problem }) {
  const own = draft.preset === OWN;
  const { layers } = readLayers(draft);
  const choose = (/** @type {Event} */ event) => {
    const id = typed(event);
    if (id === OWN) return set({ preset: OWN, json: pretty(layers) });
    const { edits, period, preset } = draftOf(id);
    const known = PRESETS.find((one) => one.id === preset) ?? PRESETS[0];
    set({ preset, edits: { ...edits, past: [...draft.edits.past, draft.edits.layers] }, period, hyper: { ...draft.hyper, ...ratesOf(known) } });
  };
  const edit = (/** @type {import("./editor.js").Edits} */ edits) => set({ edits, preset: EDITED });
  const take = (/** @type {Layer[]} */ found) => edit({ layers: found, past: [...draft.edits.past, draft.edits.layers], future: [] });
  return html`
    <${Field}
      label=${words.preset}
      hint=${PRESETS.find(({ id }) => id === draft.preset)?.note ?? (own ? words.layersHint : words.editedHint)}
      control=${(/** @type {object} */ tied) => html`<select ...${tied} data-testid="preset" value=${draft.preset} onChange=${choose}>
        ${Object.entries(presetGroups).map(
          ([group, label]) => html`<optgroup label=${label}>
            ${PRESETS.filter((known) => known.group === group).map(({ id, name }) => html`<option value=${id}>${name}</option>`)}
          </optgroup>`,
        )}
        <optgroup label=${words.yours}>
          <option value=${EDITED} hidden=${draft.preset !== EDITED}>${editing.edited}</option>
          <option value=${OWN}>${words.own}</option>
        </optgroup>
      </select>`}
    />
    <div class="network-actions">
      <${FromFile} take=${take} />
      ${own && html`<button type="button" class="small" data-testid="to-editor" disabled=${!layers.length} onClick=${() => take(layers)}>${words.toEditor}</button>`}
    </div>
    ${own
      ? html`<${Field}
          label=${words.layers}
          problem=${problem}
          control=${(/** @type {object} */ tied) =>
            html`<textarea ...${tied} data-testid="layers-json" rows="12" spellcheck="false" onInput=${(/** @type {Event} */ event) => set({ json: typed(event) })} value=${draft.json}></textarea>`}
        />`
      : html`<${SizeFields} draft=${draft} set=${set} /><${LayerEditor} edits=${draft.edits} set=${edit} problem=${problem} />`}
  `;
}

/** @param {Part} props */
function SizeFields({ draft, set }) {
  const { layers, past } = draft.edits;
  const change = (/** @type {Partial<import("./types").Size>} */ part) =>
    set({ edits: { layers: [{ ...layers[0], ...part }, ...layers.slice(1)], past: [...past, layers], future: [] } });
  return html`<${SizeInputs} size=${inputSize(layers)} most=${1024} change=${change} />`;
}
