// Hyper-parameters: the fields, reading them, and the panel that changes a running project.
import { Icon } from "./icons.js";
import { Field, Problem } from "./parts.js";
import { html, useSignal } from "./preact.js";
import { HYPER } from "./presets.js";
import { text } from "./text.js";

/** @typedef {import("./presets.js").Hyper} Hyper @typedef {import("./types").Env} Env @typedef {import("./types").Project} Project */

const PERIOD = /** @type {Hyper} */ ({ key: "period", label: text.create.period, hint: text.create.periodHint, kind: "number", value: 4, min: 0.2, max: 60 });

const TEACHING = /** @type {Hyper} */ ({ key: "volunteers_teach", label: text.settings.teaching, hint: text.settings.teachingHint, kind: "switch", value: false });
const OWN = [PERIOD, TEACHING];

/** @param {Event} event */
const typed = (event) => {
  const control = /** @type {HTMLInputElement} */ (event.target);
  return control.type === "checkbox" ? String(control.checked) : control.value;
};

/**
 * Read typed values: those that differ from `before`, or a sentence about the first that is no number.
 * @param {Record<string, string>} values @param {Record<string, unknown>} before
 */
export function readHyper(values, before) {
  /** @type {Record<string, number | string | boolean>} */
  const changed = {};
  for (const { key, label, kind } of [...OWN, ...HYPER]) {
    if (!(key in values) || String(before[key] ?? "") === values[key]) continue;
    const value = kind === "number" ? Number(values[key]) : kind === "switch" ? values[key] === "true" : values[key];
    if (kind === "number" && (values[key].trim() === "" || !Number.isFinite(value))) return { changed, problem: text.settings.number(label) };
    changed[key] = value;
  }
  return { changed, problem: "" };
}

/** @param {{known: Hyper[], values: Record<string, string>, set: (values: Record<string, string>) => void}} props */
export const HyperFields = ({ known, values, set }) => html`
  <div class="hyper">
    ${known.map(
      (hyper) => html`<${Field}
        key=${hyper.key}
        label=${hyper.label}
        hint=${hyper.hint}
        control=${(/** @type {object} */ tied) =>
          html`<${Control} hyper=${hyper} tied=${tied} value=${values[hyper.key] ?? ""} set=${(/** @type {string} */ value) => set({ ...values, [hyper.key]: value })} />`}
      />`,
    )}
  </div>
`;

/** @param {{hyper: Hyper, tied: object, value: string, set: (value: string) => void}} props */
function Control({ hyper, tied, value, set }) {
  const changed = (/** @type {Event} */ event) => set(typed(event));
  const id = `setting-${hyper.key}`;
  if (hyper.kind === "choice")
    return html`<select ...${tied} data-testid=${id} value=${value} onChange=${changed}>
      ${(hyper.choices ?? []).map((choice) => html`<option value=${choice}>${choice}</option>`)}
    </select>`;
  if (hyper.kind === "switch") return html`<input ...${tied} data-testid=${id} type="checkbox" checked=${value === "true"} onChange=${changed} />`;
  return html`<input ...${tied} data-testid=${id} type="number" step="any" inputmode="decimal" min=${hyper.min} max=${hyper.max} value=${value} onInput=${changed} />`;
}

/** @param {{env: Env, project: Project, onSaved: () => void}} props */
export function SettingsPanel({ env, project, onSaved }) {
  const before = project.settings;
  const known = [...OWN, ...HYPER].filter(({ key }) => key in before);
  const edits = useSignal(/** @type {Record<string, string>} */ ({}));
  const outcome = useSignal({ good: "", bad: "" });
  const values = { ...Object.fromEntries(known.map(({ key }) => [key, String(before[key])])), ...edits.value };
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    const { changed, problem } = readHyper(values, before);
    if (problem || !Object.keys(changed).length) return void (outcome.value = { good: "", bad: problem || text.settings.unchanged });
    await env.api.change(project.id, changed).then(
      () => {
        edits.value = {};
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
        ${outcome.value.bad && html`<${Problem}>${outcome.value.bad}<//>`}
        <div class="panel-foot">
          <span class="good-line" role="status">${outcome.value.good}</span>
          <button type="submit" data-testid="save-settings">${text.settings.save}</button>
        </div>
      </form>
    </details>
  `;
}
