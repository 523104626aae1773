// The confusion matrix: up to an alphabet of labels a live table, above it a picture to move about in, the most frequent
// confusions, and the whole table on demand (ten thousand cells that change each second would leave no time for anything else).
import { count, percent } from "../format.js";
import { html, useMemo, useSignal } from "../preact.js";
import { Heat } from "./heat.js";
import { Matrix } from "./matrix.js";
import { words } from "./text.js";

/** @typedef {import("./types").Evaluated} Evaluated @typedef {import("./types").Grid} Grid @typedef {import("./types").Place} Place */

const ROOMY = 26; // labels whose cells hold figures
const FREQUENT = 20; // confusions that are listed

/** @param {number[]} row */
const sum = (row) => row.reduce((total, n) => total + n, 0);

/** What the labels' rows and columns hold; answers of spare outputs are in the totals alone. @param {Evaluated} report @returns {Grid} */
export function gridOf({ labels, confusion }) {
  const rows = confusion.slice(0, labels.length);
  return { labels, matrix: rows.map((row) => row.slice(0, labels.length)), totals: rows.map(sum) };
}

/** The most frequent wrong answers. @param {Grid} grid @returns {{row: number, column: number, n: number}[]} */
export function frequent({ matrix }) {
  const wrong = matrix.flatMap((cells, row) => cells.map((n, column) => ({ row, column, n })).filter(({ n, column }) => n > 0 && column !== row));
  return wrong.sort((a, b) => b.n - a.n).slice(0, FREQUENT);
}

/** @param {{report: Evaluated}} props */
export function Confusion({ report }) {
  const shares = useSignal(false);
  const at = useSignal(/** @type {Place | null} */ (null));
  const whole = useSignal(/** @type {Grid | null} */ (null));
  const grid = useMemo(() => gridOf(report), [report]);
  const { labels, matrix, totals } = grid;
  const roomy = labels.length <= ROOMY;
  const spare = sum(totals) - sum(matrix.map(sum));
  const told = at.value && Math.max(...at.value) < labels.length ? at.value : null;
  const set = (/** @type {Place} */ place) => (at.value = place);
  const toggled = (/** @type {any} */ event) => (whole.value = event.currentTarget.open ? grid : null);
  return html`
    <section class="panel confusion-panel" aria-labelledby="confusion-title">
      <div class="panel-head">
        <h2 id="confusion-title">${words.confusion}</h2>
        ${(roomy || whole.value) && html`<${Choice} shares=${shares.value} set=${(/** @type {boolean} */ value) => (shares.value = value)} />`}
      </div>
      <p class="panel-lead">${words.confusionHint}</p>
      ${roomy ? html`<${Matrix} grid=${grid} shares=${shares.value} at=${told} set=${set} />` : html`<${Heat} grid=${grid} at=${told} set=${set} />`}
      <p class="cell-line" role="status" data-testid="confusion-cell">${told ? lineOf(grid, told) : words.point}</p>
      ${spare > 0 && html`<p class="panel-lead">${words.spare(spare)}</p>`}
      ${!roomy &&
      html`<${Frequent} grid=${grid} />
        <details class="more" onToggle=${toggled}>
          <summary data-testid="whole-matrix">${words.whole}</summary>
          ${whole.value && html`<${Matrix} grid=${whole.value} shares=${shares.value} at=${told} set=${set} />`}
        </details>`}
    </section>
  `;
}

/** @param {Grid} grid @param {Place} place */
function lineOf({ labels, matrix, totals }, [row, column]) {
  const n = matrix[row][column];
  return words.cell(n, labels[row], labels[column], totals[row] ? n / totals[row] : 0);
}

/** @param {{shares: boolean, set: (shares: boolean) => void}} props */
const Choice = ({ shares, set }) => html`
  <fieldset class="segments small" aria-label=${words.show}>
    ${[false, true].map(
      (value) => html`<label>
        <input type="radio" name="confusion-show" data-testid=${value ? "show-shares" : "show-pictures"} checked=${shares === value} onChange=${() => set(value)} />
        <span>${value ? words.shares : words.pictures}</span>
      </label>`,
    )}
  </fieldset>
`;

/** @param {{grid: Grid}} props */
function Frequent({ grid }) {
  const rows = useMemo(() => frequent(grid), [grid]);
  if (!rows.length) return null;
  return html`<div class="table-scroll frequent" tabindex="0" role="region" aria-label=${words.frequent}>
    <table data-testid="frequent">
      <caption>${words.frequent}</caption>
      <thead>
        <tr><th scope="col">${words.label}</th><th scope="col">${words.takenFor}</th><th scope="col" class="number">${words.pictures}</th><th scope="col" class="number">${words.shares}</th></tr>
      </thead>
      <tbody>
        ${rows.map(({ row, column, n }) => html`<tr><th scope="row">${grid.labels[row]}</th><td>${grid.labels[column]}</td><td class="number">${count(n)}</td><td class="number">${percent(n / grid.totals[row])}</td></tr>`)}
      </tbody>
    </table>
  </div>`;
}
