// How well each label is found, as a table that sorts by any column; the definitions are statistics.js's, as in mlitb/metrics.py.
import { count, percent } from "../format.js";
import { html, useMemo, useSignal } from "../preact.js";
import { words } from "./text.js";

/** @typedef {import("./types").Score} Score */
/** @typedef {"label" | "precision" | "recall" | "f1" | "support"} Column */

/** @type {[Column, string, string][]} */
const COLUMNS = [
  ["label", words.label, ""],
  ["precision", words.precision, words.precisionHint],
  ["recall", words.recall, words.recallHint],
  ["f1", words.f1, words.f1Hint],
  ["support", words.support, ""],
];

/** @param {Score[]} scores @param {Column} column @param {boolean} down @returns {Score[]} of equal values the first label first */
export function sorted(scores, column, down) {
  const order = column === "label" ? scores.slice() : scores.slice().sort((a, b) => a[column] - b[column]);
  return down ? order.reverse() : order;
}

/** @param {{scores: Score[], note: string}} props */
export function Labels({ scores, note }) {
  const by = useSignal(/** @type {Column} */ ("label"));
  const down = useSignal(false);
  const rows = useMemo(() => sorted(scores, by.value, down.value), [scores, by.value, down.value]);
  const press = (/** @type {Column} */ column) => {
    down.value = by.value === column ? !down.value : false;
    by.value = column;
  };
  const named = scores.some(({ takenFor }) => takenFor);
  return html`
    <section class="panel labels-panel" aria-labelledby="labels-title">
      <div class="panel-head"><h2 id="labels-title">${words.labels}</h2><span class="panel-note">${note}</span></div>
      <p class="panel-lead">${words.labelsHint}</p>
      <div class="table-scroll labels-scores" tabindex="0" role="region" aria-label=${words.labels}>
        <table data-testid="label-scores">
          <thead>
            <tr>
              ${COLUMNS.map(
                ([column, name, hint]) => html`<th scope="col" class=${column === "label" ? "" : "number"} aria-sort=${by.value === column ? (down.value ? "descending" : "ascending") : "none"}>
                  <button type="button" class="quiet small sort" title=${hint} data-testid=${`sort-${column}`} onClick=${() => press(column)}>
                    ${name}<span aria-hidden="true">${by.value === column ? (down.value ? " ↓" : " ↑") : ""}</span>
                  </button>
                </th>`,
              )}
              ${named && html`<th scope="col">${words.takenFor}</th>`}
            </tr>
          </thead>
          <tbody>
            ${rows.map((score) => html`<${Row} key=${score.label} score=${score} named=${named} />`)}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">${words.mean}</th>
              ${(/** @type {const} */ (["precision", "recall", "f1"])).map((key) => html`<td class="number">${percent(mean(scores, key))}</td>`)}
              <td class="number">${count(scores.reduce((total, { support }) => total + support, 0))}</td>
              ${named && html`<td></td>`}
            </tr>
          </tfoot>
        </table>
      </div>
    </section>
  `;
}

/** @param {{score: Score, named: boolean}} props */
const Row = ({ score, named }) => html`<tr data-testid="label-score" data-label=${score.label}>
  <th scope="row">${score.label}</th>
  <td class="number">${percent(score.precision)}</td>
  <td class="number">${percent(score.recall)}</td>
  <td class="number">${percent(score.f1)}</td>
  <td class="number">${count(score.support)}</td>
  ${named && html`<td>${score.takenFor}</td>`}
</tr>`;

/** @param {Score[]} scores @param {"precision" | "recall" | "f1"} key */
export const mean = (scores, key) => scores.reduce((total, score) => total + score[key], 0) / Math.max(1, scores.length);
