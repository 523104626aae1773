// Learning curves: one chart for each figure of figures.js, drawn with uPlot; zoom, values, export.
import { Ago } from "./ago.js";
import { csvOfLines, FIGURES, valueAt } from "./figures.js";
import { count, fileName } from "./format.js";
import { counted, csvOf } from "./history.js";
import { Icon } from "./icons.js";
import { html, useEffect, useMemo, useRef, useSignal } from "./preact.js";
import { withTests } from "./tests.js";
import { text } from "./text.js";
import uPlot from "./uplot.js";

/** @typedef {import("./types").Point} Point @typedef {import("./types").Env} Env @typedef {import("./figures.js").Figure} Figure @typedef {import("./figures.js").Line} Line */

const HEIGHT = 208; // CSS pixels; fixed, so that nothing moves when data arrives
const SPANS = [0, 1000, 100]; // iterations to look back; 0: all
const SLIP = 4; // CSS pixels: a click whose pointer slips is no zoom
const words = text.chart;

/** @param {{env: Env, id: string, points: Point[], name: string, figures?: Figure[]}} props */
export function Charts({ env, id, points, name, figures = FIGURES }) {
  const last = useSignal(0);
  const exportCsv = () =>
    Promise.all([env.api.history(id), env.api.tests(id)]).then(([all, tests]) => env.save(`${fileName(name)}-history.csv`, new Blob([csvOf(withTests(counted(all), tests))], { type: "text/csv" })));
  const devices = new Map((env.live.roster.value?.rows ?? []).map(({ client, device }) => [String(client), device]));
  const device = (/** @type {string} */ identity) => words.device(devices.get(identity) ?? "", identity);
  const drawn = useMemo(() => figures.map((figure) => ({ figure, lines: figure.lines(points, device) })), [points, devices.size]);
  return html`
    <section class="charts" aria-label=${words.region}>
      ${drawn.map(({ figure, lines }) => html`<${Chart} key=${figure.key} env=${env} figure=${figure} lines=${lines} points=${points} last=${last.value} name=${name} />`)}
      <div class="charts-foot">
        <${Spans} last=${last.value} set=${(/** @type {number} */ n) => (last.value = n)} />
        <span class="charts-note">${words.zoom} ${points.length > 0 && html`<${Ago} time=${points[0].time} words=${words.began} />`}</span>
        <button type="button" class="quiet small" data-testid="export-csv" disabled=${!points.length} onClick=${exportCsv}><${Icon} name="download" />${words.csvAll}</button>
      </div>
    </section>
  `;
}

/** How far back all charts look: dragging needs a mouse, this does not. @param {{last: number, set: (n: number) => void}} props */
const Spans = ({ last, set }) => html`
  <fieldset class="segments small" aria-label=${words.span}>
    ${SPANS.map(
      (n) => html`<label>
        <input type="radio" name="chart-span" data-testid=${`span-${n || "all"}`} checked=${last === n} onChange=${() => set(n)} />
        <span>${n ? words.newest(n) : words.all}</span>
      </label>`,
    )}
  </fieldset>
`;

/** @param {HTMLElement} from @param {string} name */
const css = (from, name) => getComputedStyle(from).getPropertyValue(name).trim();

/**
 * @typedef {object} Hand what a person does with a chart
 * @property {(index: number | null) => void} pointed
 * @property {(part: Part | null) => void} zoomed into a part, or back
 */
/** @typedef {{min: number, max: number}} Part iterations, from the left to the right edge */

/** @param {HTMLElement} box @param {Figure} figure @param {Line[]} lines @param {Hand} hand @returns {uPlot.Options} */
function plotOptions(box, figure, lines, hand) {
  const axis = {
    stroke: () => css(box, "--ink-3"),
    font: `11px ${css(box, "--font")}`,
    grid: { stroke: () => css(box, "--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: box.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    scales: { x: { time: false }, y: { range: (_plot, _min, max) => [0, Number.isFinite(max) && max > 0 ? max * 1.08 : 1] } },
    cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false, setScale: false, dist: SLIP }, bind: { mouseup: (plot, _target, handler) => (event) => (handler(event), selected(plot, hand), null), dblclick: () => () => (hand.zoomed(null), null) } },
    axes: [
      { ...axis, grid: { show: false }, size: 28, gap: 6, space: 64, values: (_plot, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? count(tick) : "")) },
      { ...axis, size: 56, gap: 6, space: 40, values: (_plot, ticks) => ticks.map(figure.tick) },
    ],
    series: [{}, ...lines.map(({ colour, wash }) => ({ stroke: () => css(box, colour), width: 1.75, spanGaps: true, points: { show: false }, ...(wash && { fill: () => css(box, `${colour}-wash`) }) }))],
    hooks: { setCursor: [(plot) => hand.pointed(plot.cursor.idx ?? null)], setScale: [(plot) => tellRange(plot, box)] },
  };
}

/** The drag is over: look at the part that it marked. @param {uPlot} plot @param {Hand} hand */
function selected(plot, hand) {
  const { left, width } = plot.select;
  if (width <= 0) return;
  hand.zoomed({ min: plot.posToVal(left, "x"), max: plot.posToVal(left + width, "x") });
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
}

/** Write down which iterations are seen, for tests and whoever else wants to know. @param {uPlot} plot @param {HTMLElement} box */
function tellRange(plot, box) {
  const { min, max } = plot.scales.x;
  Object.assign(box.dataset, { from: String(Math.round(min ?? 0)), to: String(Math.round(max ?? 0)) });
}

/** @param {Point[]} points @param {Line[]} lines @returns {uPlot.AlignedData} */
const columns = (points, lines) => [points.map((point) => point.iteration), ...lines.map(({ values }) => values)];

/** @param {Point[]} points @param {Line} line @param {Figure} figure */
function summary(points, line, figure) {
  const known = points.map(({ iteration }, at) => ({ iteration, value: line.values[at] })).filter(({ value }) => value !== null);
  if (!known.length) return `${figure.name}. ${words.empty}`;
  const [first, last] = [known[0], known[known.length - 1]];
  return words.summary(figure.name, figure.show(Number(first.value)), figure.show(Number(last.value)), first.iteration, last.iteration);
}

/** @param {{env: Env, figure: Figure, lines: Line[], points: Point[], last: number, name: string}} props */
function Chart({ env, figure, lines, points, last, name }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {uPlot | null} */ (null));
  const pointed = useSignal(/** @type {number | null} */ (null));
  const zoom = useSignal(/** @type {Part | null} */ (null)); // what was zoomed into stays, whatever arrives
  const drawn = lines.map(({ key }) => key).join();
  const hand = { pointed: (/** @type {number | null} */ index) => (pointed.value = index), zoomed: (/** @type {Part | null} */ part) => (zoom.value = part) };
  useEffect(() => {
    const here = /** @type {HTMLElement} */ (box.current);
    const made = new uPlot(plotOptions(here, figure, lines, hand), columns(points, lines), here);
    plot.current = made;
    const watcher = new ResizeObserver(() => made.setSize({ width: here.clientWidth, height: HEIGHT }));
    watcher.observe(here);
    const theme = matchMedia("(prefers-color-scheme: dark)");
    const repaint = () => made.redraw();
    theme.addEventListener("change", repaint);
    return () => {
      watcher.disconnect();
      theme.removeEventListener("change", repaint);
      made.destroy();
    };
  }, [drawn]);
  useEffect(() => void (zoom.value = null), [last]);
  useEffect(() => show(plot.current, columns(points, lines), zoom.value ?? newest(points, last)), [points, last, zoom.value, drawn]);
  const at = pointed.value !== null && pointed.value < points.length ? pointed.value : null;
  const point = at === null ? points[points.length - 1] : points[at];
  const file = `${fileName(name)}-${figure.key}`;
  const savePng = () => plot.current && savePicture(env, plot.current, figure, lines, `${file}.png`);
  const saveCsv = () => env.save(`${file}.csv`, new Blob([csvOfLines(points, lines)], { type: "text/csv" }));
  return html`
    <figure class="panel chart" data-testid=${`chart-${figure.key}`} data-points=${points.filter(({ power }) => power >= 0).length}>
      <figcaption class="chart-head">
        <span class="chart-name">${figure.name}</span><span class="chart-note">${figure.note}</span>
        <span class="grow"></span>
        <span class="chart-at">${point ? `${words.iteration} ${count(point.iteration)}` : ""}</span>
        <button type="button" class="quiet small" data-testid="save-csv" disabled=${!points.length} aria-label=${`${words.csv}: ${figure.name}`} title=${words.csv} onClick=${saveCsv}>CSV</button>
        <button type="button" class="quiet small" data-testid="save-png" disabled=${!points.length} aria-label=${`${words.png}: ${figure.name}`} title=${words.png} onClick=${savePng}>PNG</button>
      </figcaption>
      <${Key} figure=${figure} lines=${lines} at=${at} />
      <div class="plot" ref=${box} role="img" aria-label=${summary(points, lines[0], figure)}></div>
      ${!points.length && html`<p class="chart-empty">${words.empty}</p>`}
    </figure>
  `;
}

/** The colour, the name and the value of each line. @param {{figure: Figure, lines: Line[], at: number | null}} props */
const Key = ({ figure, lines, at }) => html`
  <p class="chart-lines">
    ${lines.map(
      (line) => html`<span class="chart-line"
        ><span class=${`chart-key ${line.colour.slice(2)}`} aria-hidden="true"></span>${lines.length > 1 && html`<span class="chart-line-name">${line.name}</span>`}<span class="chart-value">${valueAt(line, at, figure) || "\u00a0"}</span></span
      >`,
    )}
  </p>
`;

/** Draw the data, and of it this part. @param {uPlot | null} plot @param {uPlot.AlignedData} data @param {Part} part */
function show(plot, data, part) {
  plot?.setData(data, false);
  plot?.setScale("x", part);
}

/** The newest so many iterations; 0: all. @param {Point[]} points @param {number} last @returns {Part} */
function newest(points, last) {
  const [begin, end] = [points[0]?.iteration ?? 0, points[points.length - 1]?.iteration ?? 0];
  return { min: last ? Math.max(begin, end - last) : begin, max: Math.max(end, begin + 1) };
}

const TITLE = 30; // CSS pixels above the curve in a saved picture

/** The chart on its own background under its name, as a picture. @param {Env} env @param {uPlot} plot @param {Figure} figure @param {Line[]} lines @param {string} file */
function savePicture(env, plot, figure, lines, file) {
  const from = plot.ctx.canvas;
  const scale = from.width / plot.width;
  const to = new OffscreenCanvas(from.width, from.height + TITLE * scale);
  const paint = /** @type {OffscreenCanvasRenderingContext2D} */ (to.getContext("2d"));
  paint.fillStyle = css(plot.root, "--surface");
  paint.fillRect(0, 0, to.width, to.height);
  paint.scale(scale, scale);
  paint.font = `13px ${css(plot.root, "--font")}`;
  let x = 12;
  for (const { name, colour } of lines) {
    paint.fillStyle = css(plot.root, colour);
    paint.fillText(lines.length > 1 ? name : `${figure.name} (${figure.note})`, x, 20);
    x += paint.measureText(lines.length > 1 ? name : "").width + 16;
  }
  paint.drawImage(from, 0, TITLE, plot.width, plot.height);
  void to.convertToBlob({ type: "image/png" }).then((blob) => env.save(file, blob));
}
