// What the charts show: a figure each, because error, loss and the others have different units and meanings; a figure has
// one line or several. Pure: points in, columns out.
import { bytes, count, loss, milliseconds, percent, wholePercent } from "./format.js";
import { text } from "./text.js";

/** @typedef {import("./types").Point} Point */
/** @typedef {{key: string, name: string, colour: string, wash?: boolean, values: (number | null)[]}} Line a null: not known of that iteration; `colour` a custom property */
/**
 * @typedef {object} Figure
 * @property {string} key
 * @property {string} name
 * @property {string} note
 * @property {(value: number) => string} show
 * @property {(value: number) => string} tick
 * @property {(points: Point[], device: (identity: string) => string) => Line[]} lines the first stands for the figure
 */

const words = text.chart;
const LINKS = ["--series-1", "--series-2", "--series-3", "--series-4", "--series-5", "--series-6", "--series-7", "--series-8"];

const LATELY = 100; // iterations: who left before them has no line any more

/** @param {number | undefined} value */
const known = (value) => (value !== undefined && value >= 0 ? value : null);

/** The line of one figure of each point. @param {keyof Point} key @param {string} name @param {string} colour @returns {(points: Point[]) => Line} */
const line = (key, name, colour, wash = true) => (points) => ({ key, name, colour, wash, values: points.map((point) => known(/** @type {number | undefined} */ (point[key]))) });

/** The median of all links, and a line for each of the newest few that were kept. @param {Point[]} points @param {(identity: string) => string} device */
function latencies(points, device) {
  const seen = new Set(points.slice(-LATELY).flatMap(({ latencies }) => Object.keys(latencies ?? {})));
  const shown = [...seen].sort((a, b) => Number(a) - Number(b)).slice(-LINKS.length);
  const each = shown.map((identity, place) => ({ key: identity, name: device(identity), colour: LINKS[place], values: points.map(({ latencies }) => known(latencies?.[identity])) }));
  return [line("latency_ms", words.median, "--latency")(points), ...(shown.length > 1 ? each : [])];
}

/** Of the training, and where it was measured of the test set: the same unit, so the same chart. @param {"error" | "loss"} key @param {string} name @returns {(points: Point[]) => Line[]} */
const tested = (key, name) => (points) => {
  const test = line(`test_${key}`, words.test, "--test", false)(points);
  const both = test.values.some((value) => value !== null);
  return both ? [line(key, words.training, `--${key}`)(points), test] : [line(key, name, `--${key}`)(points)];
};

/** @type {Figure[]} */
export const FIGURES = [
  { key: "error", name: words.error, note: words.errorNote, show: percent, tick: wholePercent, lines: tested("error", words.error) },
  { key: "loss", name: words.loss, note: words.lossNote, show: loss, tick: (value) => String(value), lines: tested("loss", words.loss) },
  {
    key: "power",
    name: words.power,
    note: words.powerNote,
    show: count,
    tick: (value) => (value >= 1000 ? `${value / 1000}k` : Number.isInteger(value) ? String(value) : ""),
    lines: (points) => [line("power", words.power, "--power")(points)],
  },
  { key: "latency", name: words.latency, note: words.latencyNote, show: milliseconds, tick: milliseconds, lines: latencies },
  {
    key: "bytes",
    name: words.bytes,
    note: words.bytesNote,
    show: bytes,
    tick: bytes,
    lines: (points) => [line("bytes_out", words.bytesOut, "--bytes-out")(points), line("bytes_in", words.bytesIn, "--bytes-in", false)(points)],
  },
];

/** What is shown of a line beside its name: its newest value, or that of the point that is pointed at. @param {Line} line @param {number | null} at @param {Figure} figure */
export function valueAt(line, at, figure) {
  const value = at === null ? line.values.filter((found) => found !== null).pop() : line.values[at];
  return value === null || value === undefined ? "" : figure.show(value);
}

/** The lines of a figure as comma-separated values, with a head line. @param {Point[]} points @param {Line[]} lines */
export function csvOfLines(points, lines) {
  const head = ["iteration", "time", ...lines.map(({ name }) => quoted(name))].join(",");
  return [head, ...points.map((point, at) => [point.iteration, point.time, ...lines.map(({ values }) => values[at] ?? "")].join(","))].join("\n") + "\n";
}

/** @param {string} cell */
export const quoted = (cell) => (/[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
