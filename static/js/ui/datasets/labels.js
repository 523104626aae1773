// The labels of a data set, with their pictures and counts; the owner renames them, and merges them by giving two one name.
import { count } from "../format.js";
import { Problem } from "../parts.js";
import { html, useSignal } from "../preact.js";
import { Strip } from "./strip.js";
import { words } from "./text.js";

/** @typedef {import("../types").Env} Env @typedef {import("../types").Report} Report @typedef {{env: Env, report: Report, onSaved: () => Promise<void>}} Props */

/** A name as the data server keeps it. @param {string} name */
const tidy = (name) => name.trim().replace(/\s+/g, " ");

/** What changed names mean: the renames, and a sentence for each. @param {string[]} before @param {string[]} after */
export function changesOf(before, after) {
  const renames = Object.fromEntries(before.flatMap((old, number) => (after[number] === old ? [] : [[old, after[number]]])));
  const names = [...new Set(after)];
  const sentences = names.flatMap((name) => {
    const old = before.filter((_, number) => after[number] === name);
    if (old.length > 1) return [words.merged(old, name)];
    return old[0] === name ? [] : [words.becomes(old[0], name)];
  });
  return { renames, sentences };
}

/** @param {Props} props */
export function LabelsPanel({ env, report, onSaved }) {
  const typed = useSignal(/** @type {Record<string, string>} */ ({}));
  const outcome = useSignal({ good: "", bad: "" });
  const busy = useSignal(false);
  const owner = env.live.owner.value;
  const before = report.labels.map(({ name }) => name);
  const { renames, sentences } = changesOf(before, before.map((name) => tidy(typed.value[name] ?? name)));
  const save = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (Object.values(renames).includes("")) return void (outcome.value = { good: "", bad: words.emptyLabel });
    busy.value = true;
    await env.api.edit(report.id, { labels: renames }).then(
      async ({ version }) => {
        typed.value = {};
        await onSaved();
        outcome.value = { good: words.savedLabels(version), bad: "" };
      },
      (error) => (outcome.value = { good: "", bad: error.message }),
    );
    busy.value = false;
  };
  const type = (/** @type {string} */ name, /** @type {string} */ value) => {
    typed.value = { ...typed.value, [name]: value };
    outcome.value = { good: "", bad: "" };
  };
  return html`
    <form class="panel" aria-labelledby="labels-title" onSubmit=${save} noValidate>
      <div class="panel-head"><h2 id="labels-title">${words.labels}</h2></div>
      ${owner && html`<p class="quiet-line">${words.labelsLead}</p>`}
      <${Table} env=${env} report=${report} typed=${typed.value} type=${owner ? type : null} />
      ${outcome.value.bad && html`<${Problem}>${outcome.value.bad}<//>`} ${outcome.value.good && html`<p class="good-line" role="status">${outcome.value.good}</p>`}
      ${sentences.length > 0 &&
      html`<div class="label-changes" role="status" data-testid="label-changes"><ul>${sentences.map((sentence) => html`<li>${sentence}</li>`)}</ul><p>${words.versionNote}</p></div>
        <div class="panel-foot">
          <button type="button" class="plain" data-testid="undo-labels" onClick=${() => (typed.value = {})}>${words.undo}</button>
          <button type="submit" class="primary" data-testid="save-labels" disabled=${busy.value}>${busy.value ? words.saving : words.saveLabels(report.version + 1)}</button>
        </div>`}
    </form>
  `;
}

/** @param {{env: Env, report: Report, typed: Record<string, string>, type: ((name: string, value: string) => void) | null}} props */
function Table({ env, report, typed, type }) {
  const sets = /** @type {("train" | "validation" | "test")[]} */ (["train", "validation", "test"]);
  const shown = sets.filter((set) => set === "train" || report.labels.some((label) => label[set] > 0));
  return html`
    <div class="table-scroll" tabindex="0" role="region" aria-label=${words.labels}>
      <table class="label-table">
        <thead>
          <tr>
            <th scope="col">${words.nameOf}</th>
            <th scope="col">${words.pictures}</th>
            ${shown.map((set) => html`<th scope="col" class="number">${words.set[set]}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${report.labels.map(
            (label, number) => html`<tr key=${label.name} data-testid="label-row">
              <th scope="row">${type ? html`<${Name} name=${label.name} typed=${typed[label.name]} type=${type} />` : label.name}</th>
              <td><${Strip} src=${env.api.thumbnailsUrl(report.id, number, report.version)} label=${label.name} /></td>
              ${shown.map((set) => html`<td class="number">${count(label[set])}</td>`)}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}

/** @param {{name: string, typed: string | undefined, type: (name: string, value: string) => void}} props */
const Name = ({ name, typed, type }) => html`
  <input type="text" data-testid="label-name" aria-label=${words.labelName(name)} title=${name} maxlength="100" autocomplete="off" value=${typed ?? name} onInput=${(/** @type {any} */ event) => type(name, event.target.value)} />
`;
