// Hyper-parameters: the fields, and the panel that changes a running project.
import { changedBy, HYPER, isOfUse, OWN, readHyper } from "./hyper.js";
import { Icon } from "./icons.js";
import { Field, Problem } from "./parts.js";
import { html, useSignal } from "./preact.js";
import { groups } from "./training/text.js";
import { text } from "./text.js";
import { changesOf, TunedLayers } from "./tuning.js";

/** @typedef {import("./hyper.js").Hyper} Hyper @typedef {import("./types").Env} Env @typedef {import("./types").Project} Project @typedef {import("./tuning.js").Tunings} Tunings */

/** @param {Event} event */
const typed = (event) => {
  const control = /** @type {HTMLInputElement} */ (event.target);
  return control.type === "checkbox" ? String(control.checked) : control.value;
};

/** The fields by group; what is of no use with the chosen values is not shown. @param {{known: Hyper[], values: Record<string, string>, set: (values: Record<string, string>) => void}} props */
export const HyperFields = ({ known, values, set }) => html`
  ${Object.entries(groups).map(([group, title]) => {
    const shown = known.filter((hyper) => hyper.group === group && isOfUse(hyper, values));
    return (
      shown.length > 0 &&
      html`<fieldset class="hyper" key=${group}>
        <legend>${title}</legend>
        ${shown.map(
          (hyper) => html`<${Field}
            key=${hyper.key}
            label=${hyper.label}
            hint=${hyper.hint}
            control=${(/** @type {object} */ tied) =>
              html`<${Control} hyper=${hyper} tied=${tied} value=${values[hyper.key] ?? ""} set=${(/** @type {string} */ value) => set(changedBy(values, hyper.key, value))} />`}
          />`,
        )}
      </fieldset>`
    );
  })}
`;

/** @param {{hyper: Hyper, tied: object, value: string, set: (value: string) => void}} props */
function Control({ hyper, tied, value, set }) {
  const changed = (/** @type {Event} */ event) => set(typed(event));
  const id = `setting-${hyper.key}`;
  if (hyper.kind === "choice")
    return html`<select ...${tied} data-testid=${id} value=${value} onChange=${changed}>
      ${(hyper.choices ?? []).map((choice) => html`<option value=${String(choice)}>${choice}</option>`)}
    </select>`;
  if (hyper.kind === "switch") return html`<input ...${tied} data-testid=${id} type="checkbox" checked=${value === "true"} onChange=${changed} />`;
  return html`<input ...${tied} data-testid=${id} type="number" step="any" inputmode="decimal" min=${hyper.min} max=${hyper.max} value=${value} onInput=${changed} />`;
}

/** @param {{env: Env, project: Project, onSaved: () => void}} props */
export function SettingsPanel({ env, project, onSaved }) {
  const before = project.settings;
  const known = [...OWN, ...HYPER].filter(({ key }) => key in before);
  const edits = useSignal(/** @type {Record<string, string>} */ ({}));
  const layers = useSignal(/** @type {Tunings} */ ({}));
  const outcome = useSignal({ good: "", bad: "" });
  const values = { ...Object.fromEntries(known.map(({ key }) => [key, String(before[key])])), ...edits.value };
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const { changed, problem } = readHyper(values, before);
    const tuned = changesOf(project.layers, layers.value);
    const bad = problem || tuned.problem || (Object.keys({ ...changed, ...tuned.changes }).length ? "" : text.settings.unchanged);
    if (bad) return void (outcome.value = { good: "", bad });
    const wish = Object.keys(tuned.changes).length ? { ...changed, layers: tuned.changes } : changed;
    await env.api.change(project.id, wish).then(
      () => {
        edits.value = {};
        layers.value = {};
        outcome.value = { good: text.settings.saved, bad: "" };
        onSaved();
      },
      (error) => (outcome.value = { good: "", bad: error.message }),
    );
  };
  return html`
    <details class="panel folding">
      <summary><h2>${text.settings.title}</h2><${Icon} name="chevron" /></summary>
      <form class="panel-body" onSubmit=${save} noValidate>
        <p class="quiet-line">${text.settings.lead}</p>
        <${HyperFields} known=${known} values=${values} set=${(/** @type {Record<string, string>} */ next) => (edits.value = next)} />
        <${TunedLayers} layers=${project.layers} labels=${project.labels.length} tunings=${layers.value} set=${(/** @type {Tunings} */ next) => (layers.value = next)} />
        ${outcome.value.bad && html`<${Problem}>${outcome.value.bad}<//>`}
        <div class="panel-foot">
          <span class="good-line" role="status">${outcome.value.good}</span>
          <button type="submit" data-testid="save-settings">${text.settings.save}</button>
        </div>
      </form>
    </details>
  `;
}
