// A look inside: the first layer's filters, and what any layer makes of the picture that is shown; all of it from the engine.
import { Icon } from "../icons.js";
import { Problem } from "../parts.js";
import { html, useEffect, useRef, useSignal } from "../preact.js";
import { sentence } from "../text.js";
import { NotYet } from "./asking.js";
import { words } from "./text.js";
import { channelsOf, filtersOf, paintTile } from "./tiles.js";

/** @typedef {import("./asking.js").Network} Network @typedef {import("./types").Input} Input @typedef {import("./types").Values} Values @typedef {import("./tiles.js").Figure} Figure @typedef {import("./tiles.js").Tile} Tile */

const TILE_SIDE = 64; // CSS pixels at most; a whole number of them for each value
const MOST_TILES = 64; // unless all are asked for
const MOST_CELLS = 128;

/** @param {{network: Network, input: Input | null, pixels: Uint8Array | null}} props */
export function InsidePanel({ network, input, pixels }) {
  const open = useSignal(false);
  const snapshot = network.snapshot.value;
  return html`
    <details class="panel folding inside" data-testid="inside" onToggle=${(/** @type {any} */ event) => (open.value = event.target.open)}>
      <summary><h2>${words.inside}</h2><span class="summary-note">${words.insideNote}</span><${Icon} name="chevron" /></summary>
      ${open.value && snapshot && input && html`<div class="panel-body"><${Filters} network=${network} snapshot=${snapshot} input=${input} /><${Layers} network=${network} snapshot=${snapshot} pixels=${pixels} /></div>`}
      ${open.value && !snapshot && html`<p class="panel-body">${words.noNetwork}</p>`}
    </details>
  `;
}

/**
 * Ask for values whenever what they depend on changes; of what changes meanwhile only the newest is asked for.
 * @param {(() => Promise<Values>) | null} ask @param {unknown[]} changes
 */
function useValues(ask, changes) {
  const values = useSignal(/** @type {Values | null} */ (null));
  const problem = useSignal("");
  const newest = useRef(ask);
  const busy = useRef(false);
  newest.current = ask;
  useEffect(() => {
    const next = async () => {
      const asked = newest.current;
      if (busy.current || !asked) return;
      busy.current = true;
      try {
        values.value = await asked();
        problem.value = "";
      } catch (error) {
        if (!(error instanceof NotYet)) problem.value = sentence(/** @type {Error} */ (error).message);
      }
      busy.current = false;
      if (newest.current !== asked) void next();
    };
    void next();
  }, changes);
  useEffect(() => () => void (newest.current = null), []);
  return { values: ask && values.value, problem: problem.value };
}

/** @param {{network: Network, snapshot: import("./types").Snapshot, input: Input}} props */
function Filters({ network, snapshot, input }) {
  const first = snapshot.blocks[0];
  const { values, problem } = useValues(first ? () => network.weights(first.name) : null, [snapshot]);
  if (!first) return html`<p>${words.noFilters}</p>`;
  const figure = values && filtersOf(values, input);
  return html`
    <section aria-labelledby="filters-title">
      <h3 id="filters-title">${words.filters(first.name.split(".")[0])}</h3>
      <p class="field-note">${words.filtersNote}</p>
      ${problem && html`<${Problem}>${problem}<//>`} ${figure && html`<${Tiles} figure=${figure} id="filters" name=${words.filtersOf} />`}
    </section>
  `;
}

/** @param {{network: Network, snapshot: import("./types").Snapshot, pixels: Uint8Array | null}} props */
function Layers({ network, snapshot, pixels }) {
  const chosen = useSignal("");
  const layer = snapshot.layers.find(({ name }) => name === chosen.value) ?? snapshot.layers[Math.min(1, snapshot.layers.length - 1)];
  const { values, problem } = useValues(pixels && (() => network.look(pixels, layer.name)), [pixels, layer.name, snapshot]);
  const shown = values?.name === layer.name ? values : null;
  const [height, width] = layer.shape;
  return html`
    <section aria-labelledby="layers-title">
      <h3 id="layers-title">${words.layers}</h3>
      <div class="field layer-choice">
        <label for="look-layer">${words.layer}</label>
        <select id="look-layer" data-testid="look-layer" value=${layer.name} onChange=${(/** @type {any} */ event) => (chosen.value = event.target.value)}>
          ${snapshot.layers.map(({ name, shape }) => html`<option value=${name}>${words.layerOption(name, shape)}</option>`)}
        </select>
      </div>
      ${!pixels && html`<p class="field-note">${words.layersEmpty}</p>`} ${problem && html`<${Problem}>${problem}<//>`}
      ${shown && (height * width > 1 ? html`<${Tiles} figure=${channelsOf(shown)} id="activations" name=${words.channelsOf} />` : html`<${Cells} values=${shown.values} labels=${snapshot.labels} />`)}
    </section>
  `;
}

/** @param {HTMLElement} from @param {string} name @returns {import("./tiles.js").Colour} */
function colour(from, name) {
  const hex = getComputedStyle(from).getPropertyValue(name).trim();
  const part = (/** @type {number} */ at) => parseInt(hex.slice(at, at + 2), 16);
  return [part(1), part(3), part(5)];
}

/** @param {{figure: Figure, id: string, name: (n: number, w: number, h: number, low: string, high: string) => string}} props */
function Tiles({ figure, id, name }) {
  const all = useSignal(false);
  const { tiles, low, high } = figure;
  const most = Math.max(Math.abs(low), Math.abs(high));
  const { width, height } = tiles[0];
  const shown = all.value ? tiles : tiles.slice(0, MOST_TILES);
  return html`
    <div class="tiles" role="img" aria-label=${name(tiles.length, width, height, words.value(low), words.value(high))} data-testid=${id} data-tiles=${tiles.length} data-low=${low} data-high=${high}>
      ${shown.map((tile, i) => html`<${TileView} key=${i} tile=${tile} most=${most} title=${words.tile(i + 1)} />`)}
    </div>
    <${Legend} low=${low} most=${most} colour=${tiles[0].channels === 3} />
    ${tiles.length > MOST_TILES && html`<button type="button" class="quiet small" data-testid="all-tiles" aria-expanded=${all.value} onClick=${() => (all.value = !all.value)}>${all.value ? words.fewer : words.all(tiles.length)}</button>`}
  `;
}

/** @param {{tile: Tile, most: number, title: string}} props */
function TileView({ tile, most, title }) {
  const box = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const { width, height } = tile;
  useEffect(() => {
    const canvas = box.current;
    const paint = canvas?.getContext("2d");
    if (!canvas || !paint) return;
    const image = paint.createImageData(width, height);
    image.data.set(paintTile(tile, most, colour(canvas, "--error"), colour(canvas, "--loss")));
    paint.putImageData(image, 0, 0);
  }, [tile, most]);
  const scale = Math.max(1, Math.floor(TILE_SIDE / Math.max(width, height)));
  return html`<canvas class="pixels tile" ref=${box} width=${width} height=${height} title=${title} style=${{ width: `${width * scale}px`, height: `${height * scale}px` }}></canvas>`;
}

/** What the colours mean. @param {{low: number, most: number, colour: boolean}} props */
const Legend = ({ low, most, colour: coloured }) =>
  coloured
    ? html`<p class="field-note">${words.legendColour(words.value(most))}</p>`
    : html`<p class="legend" data-testid="legend">
        ${low < 0 && html`<span>${words.value(-most)}</span><span class="legend-bar negative" aria-hidden="true"></span>`}<span>0</span><span class="legend-bar positive" aria-hidden="true"></span><span>${words.value(most)}</span>
      </p>`;

/** A layer without place: one value for each unit, named by its label where there is one each. @param {{values: Float32Array, labels: string[]}} props */
function Cells({ values, labels }) {
  const named = values.length === labels.length;
  const most = values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  const shown = [...values.subarray(0, MOST_CELLS)];
  return html`
    <ol class="cells" data-testid="cells" data-cells=${values.length}>
      ${shown.map(
        (value, i) => html`<li>
          <span class="cell-name">${named ? labels[i] : i + 1}</span><span class=${`cell-bar ${value < 0 ? "negative" : "positive"}`} aria-hidden="true"><span style=${{ transform: `scaleX(${most ? Math.abs(value) / most : 0})` }}></span></span
          ><span class="cell-value">${words.value(value)}</span>
        </li>`,
      )}
    </ol>
    ${values.length > MOST_CELLS && html`<p class="field-note">${words.moreCells(values.length - MOST_CELLS)}</p>`}
  `;
}
