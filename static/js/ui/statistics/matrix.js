// A confusion matrix as a table: figures in the cells, coloured by share of the row; the arrow keys move through it.
import { count, wholePercent } from "../format.js";
import { html, useRef } from "../preact.js";
import { words } from "./text.js";

/** @typedef {import("./types").Grid} Grid @typedef {import("./types").Place} Place */
/** @typedef {{grid: Grid, shares: boolean, at: Place | null, set: (place: Place) => void}} Props */

const STEPS = /** @type {Record<string, Place>} */ ({ ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] });

/** Where an arrow key leads; null for another key. @param {string} key @param {Place | null} at @param {number} last @returns {Place | null} */
export function moved(key, at, last) {
  const step = STEPS[key];
  if (!step) return null;
  if (!at) return [0, 0];
  return [Math.min(last, Math.max(0, at[0] + step[0])), Math.min(last, Math.max(0, at[1] + step[1]))];
}

/** @param {Props} props */
export function Matrix({ grid, shares, at, set }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const { labels } = grid;
  const move = (/** @type {KeyboardEvent} */ event) => {
    const next = moved(event.key, at, labels.length - 1);
    if (!next) return;
    event.preventDefault();
    set(next);
    box.current?.querySelector(`[data-cell="${next}"]`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  const point = (/** @type {Event} */ event) => {
    const cell = /** @type {HTMLElement} */ (event.target).closest("[data-cell]")?.getAttribute("data-cell");
    if (cell) set(/** @type {Place} */ (cell.split(",").map(Number)));
  };
  return html`
    <div class="table-scroll confusion-scroll" ref=${box} tabindex="0" role="region" aria-label=${`${words.confusion}. ${words.keys}`} onKeyDown=${move} onClick=${point} onMouseOver=${point}>
      <table class="confusion" data-testid="confusion">
        <thead>
          <tr>
            <td class="corner">${words.actual} ↓ ${words.predicted} →</td>
            ${labels.map((label) => html`<th scope="col" title=${label}><span>${label}</span></th>`)}
          </tr>
        </thead>
        <tbody>
          ${labels.map(
            (label, row) => html`<tr>
              <th scope="row" title=${label}><span>${label}</span></th>
              ${labels.map((_, column) => cell(grid, row, column, shares, at))}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}

/** @param {Grid} grid @param {number} row @param {number} column @param {boolean} shares @param {Place | null} at */
function cell({ matrix, totals }, row, column, shares, at) {
  const n = matrix[row][column];
  const share = totals[row] ? n / totals[row] : 0;
  const kind = `${row === column ? "right" : "wrong"}${at?.[0] === row && at[1] === column ? " here" : ""}${n ? "" : " zero"}`;
  return html`<td class=${kind} data-cell=${`${row},${column}`} data-count=${n} style=${{ "--share": share.toFixed(3) }}><span>${shares ? wholePercent(share) : count(n)}</span></td>`;
}
