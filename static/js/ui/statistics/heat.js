// A confusion matrix of many labels as a picture: a square a cell, coloured by share of the row; point at it, or move by keys.
import { html, useEffect, useRef } from "../preact.js";
import { moved } from "./matrix.js";
import { words } from "./text.js";

/** @typedef {import("./types").Grid} Grid @typedef {import("./types").Place} Place */

const MOST = 640; // CSS pixels a side
const FAINTEST = 0.25; // so that a single wrong answer is seen

/** @param {{grid: Grid, at: Place | null, set: (place: Place) => void}} props */
export function Heat({ grid, at, set }) {
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const n = grid.labels.length;
  const cell = Math.max(4, Math.floor(MOST / n));
  useEffect(() => {
    const draw = () => canvas.current && paint(canvas.current, grid, cell, at);
    draw();
    const theme = matchMedia("(prefers-color-scheme: dark)");
    theme.addEventListener("change", draw);
    return () => theme.removeEventListener("change", draw);
  }, [grid, at]);
  const point = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    const place = [event.clientY - box.top, event.clientX - box.left].map((offset) => Math.min(n - 1, Math.max(0, Math.floor((offset / box.width) * n))));
    if (!at || place[0] !== at[0] || place[1] !== at[1]) set(/** @type {Place} */ (place));
  };
  const move = (/** @type {KeyboardEvent} */ event) => {
    const next = moved(event.key, at, n - 1);
    if (!next) return;
    event.preventDefault();
    set(next);
  };
  return html`<div class="heat" tabindex="0" role="group" aria-label=${`${words.confusion}. ${words.keys}`} data-testid="heat" onKeyDown=${move}>
    <canvas ref=${canvas} width=${n * cell} height=${n * cell} role="img" aria-label=${words.heat(n)} onPointerMove=${point} onPointerDown=${point}></canvas>
  </div>`;
}

/** @param {HTMLCanvasElement} canvas @param {Grid} grid @param {number} size of a cell @param {Place | null} at */
function paint(canvas, { matrix, totals }, size, at) {
  const draw = canvas.getContext("2d");
  if (!draw) return;
  const style = getComputedStyle(canvas);
  const [ground, right, wrong, accent] = ["--sunken", "--good", "--bad", "--accent"].map((name) => style.getPropertyValue(name).trim());
  draw.globalAlpha = 1;
  draw.fillStyle = ground;
  draw.fillRect(0, 0, canvas.width, canvas.height);
  matrix.forEach((row, y) =>
    row.forEach((count, x) => {
      if (!count) return;
      draw.globalAlpha = Math.min(1, FAINTEST + count / totals[y]);
      draw.fillStyle = x === y ? right : wrong;
      draw.fillRect(x * size, y * size, size - 1, size - 1);
    }),
  );
  if (!at) return;
  draw.globalAlpha = 1;
  draw.strokeStyle = accent;
  draw.lineWidth = 2;
  draw.strokeRect(at[1] * size - 1, at[0] * size - 1, size + 1, size + 1);
}
