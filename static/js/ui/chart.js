// Learning curves: one chart for each figure, because error and loss have different units and meanings.
import { count, fileName, loss, moment, percent, span, wholePercent } from "./format.js";
import { csvOf } from "./history.js";
import { Icon } from "./icons.js";
import { html, useEffect, useRef, useSignal } from "./preact.js";
import { text } from "./text.js";
import uPlot from "./uplot.js";

/** @typedef {import("./types").Point} Point @typedef {import("./types").Env} Env */
/** @typedef {{key: "error" | "loss" | "power", name: string, note: string, show: (value: number) => string, tick: (value: number) => string}} Figure */

const HEIGHT = 208; // CSS pixels; fixed, so that nothing moves when data arrives
const words = text.chart;

/** @type {Figure[]} */
const FIGURES = [
  { key: "error", name: words.error, note: words.errorNote, show: percent, tick: wholePercent },
  { key: "loss", name: words.loss, note: words.lossNote, show: loss, tick: (value) => String(value) },
  { key: "power", name: words.power, note: words.powerNote, show: count, tick: (value) => (value >= 1000 ? `${value / 1000}k` : Number.isInteger(value) ? String(value) : "") },
];

/** @param {{env: Env, points: Point[], name: string}} props */
export function Charts({ env, points, name }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const exportCsv = () => env.save(`${fileName(name)}-history.csv`, new Blob([csvOf(points)], { type: "text/csv" }));
  return html`
    <section class="charts" aria-label=${words.region} ref=${box}>
      ${FIGURES.map((figure) => html`<${Chart} key=${figure.key} env=${env} figure=${figure} points=${points} name=${name} />`)}
      <p class="charts-foot">
        <span>${words.zoom} ${points.length > 0 && html`<${Began} time=${points[0].time} />`}</span>
        <button type="button" class="quiet small" data-testid="export-csv" disabled=${!points.length} onClick=${exportCsv}><${Icon} name="download" />${words.csv}</button>
      </p>
    </section>
  `;
}

/** When the first point was made, with the exact time on hover. @param {{time: number}} props in seconds */
const Began = ({ time }) => html`<time datetime=${new Date(time * 1000).toISOString()} title=${moment(time)}>${words.ago(span(Date.now() / 1000 - time))}</time>`;

/** @param {HTMLElement} from @param {string} name */
const css = (from, name) => getComputedStyle(from).getPropertyValue(name).trim();

/** @param {HTMLElement} box @param {Figure} figure @param {(index: number | null) => void} pointed @returns {uPlot.Options} */
function plotOptions(box, figure, pointed) {
  const axis = {
    stroke: () => css(box, "--ink-3"),
    font: `11px ${css(box, "--font")}`,
    grid: { stroke: () => css(box, "--line"), width: 1 },
    ticks: { show: false },
  };
  const colour = () => css(box, `--${figure.key}`);
  return {
    width: box.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    scales: { x: { time: false }, y: { range: (_plot, _min, max) => [0, Number.isFinite(max) && max > 0 ? max * 1.08 : 1] } },
    cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false } },
    axes: [
      { ...axis, grid: { show: false }, size: 28, gap: 6, space: 64, values: (_plot, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? count(tick) : "")) },
      { ...axis, size: 44, gap: 6, space: 40, values: (_plot, ticks) => ticks.map(figure.tick) },
    ],
    series: [{}, { stroke: colour, width: 1.75, points: { show: false }, fill: () => css(box, `--${figure.key}-wash`) }],
    hooks: { setCursor: [(plot) => pointed(plot.cursor.idx ?? null)] },
  };
}

/** @param {Point[]} points @param {Figure} figure @returns {uPlot.AlignedData} */
const columns = (points, figure) => [
  points.map((point) => point.iteration),
  points.map((point) => (point[figure.key] >= 0 ? point[figure.key] : null)),
];

/** @param {Point[]} points @param {Figure} figure */
function summary(points, figure) {
  const known = points.filter((point) => point[figure.key] >= 0);
  if (!known.length) return `${figure.name}. ${words.empty}`;
  const [first, last] = [known[0], known[known.length - 1]];
  return words.summary(figure.name, figure.show(first[figure.key]), figure.show(last[figure.key]), first.iteration, last.iteration);
}

/** @param {{env: Env, figure: Figure, points: Point[], name: string}} props */
function Chart({ env, figure, points, name }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {uPlot | null} */ (null));
  const pointed = useSignal(/** @type {number | null} */ (null));
  useEffect(() => {
    const here = /** @type {HTMLElement} */ (box.current);
    const made = new uPlot(plotOptions(here, figure, (index) => (pointed.value = index)), columns(points, figure), here);
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
  }, []);
  useEffect(() => plot.current?.setData(columns(points, figure), !zoomed(plot.current)), [points]);
  const point = pointed.value === null ? points[points.length - 1] : points[pointed.value];
  const savePng = () => plot.current && savePicture(env, plot.current, `${fileName(name)}-${figure.key}.png`);
  return html`
    <figure class="panel chart" data-testid=${`chart-${figure.key}`} data-points=${points.length}>
      <figcaption class="chart-head">
        <span class="chart-key ${figure.key}" aria-hidden="true"></span>
        <span class="chart-name">${figure.name}</span><span class="chart-note">${figure.note}</span>
        <span class="grow"></span>
        <span class="chart-value">${point ? figure.show(point[figure.key]) : ""}</span>
        <span class="chart-at">${point ? `${words.iteration} ${count(point.iteration)}` : ""}</span>
        <button type="button" class="quiet icon-only small" aria-label=${`${words.png}: ${figure.name}`} title=${words.png} onClick=${savePng}><${Icon} name="download" /></button>
      </figcaption>
      <div class="plot" ref=${box} role="img" aria-label=${summary(points, figure)}></div>
      ${!points.length && html`<p class="chart-empty">${words.empty}</p>`}
    </figure>
  `;
}

/** Whether a person has zoomed in: then new points must not move what is seen. @param {uPlot} plot */
function zoomed(plot) {
  const [x] = plot.data;
  const { min, max } = plot.scales.x;
  return !!x?.length && min != null && max != null && (min > x[0] || max < x[x.length - 1]);
}

/** The chart on its own background, as a picture. @param {Env} env @param {uPlot} plot @param {string} file */
function savePicture(env, plot, file) {
  const from = plot.ctx.canvas;
  const to = new OffscreenCanvas(from.width, from.height);
  const paint = /** @type {OffscreenCanvasRenderingContext2D} */ (to.getContext("2d"));
  paint.fillStyle = css(plot.root, "--surface");
  paint.fillRect(0, 0, to.width, to.height);
  paint.drawImage(from, 0, 0);
  void to.convertToBlob({ type: "image/png" }).then((blob) => env.save(file, blob));
}
