// What can be seen to be wrong with a network before the server is asked: a sentence at the layer that has it. The server has the last word.
import { OPTIONS } from "../layers.js";
import { sources } from "../shapes.js";
import { problems as words } from "./text.js";

/** @typedef {import("../shapes.js").Row} Row @typedef {import("../layers.js").Option} Option */

const LOSSES = ["softmax", "squared_error"];
const PLAIN = ["input", "relu", "tanh", "sigmoid", "global_average_pool", ...LOSSES];
/** What may follow the layer that grows with the labels: the server's _FREE_AFTER_GROWTH. */
const FREE = ["relu", "leaky_relu", "tanh", "sigmoid", "dropout", "max_pool", "average_pool", "global_average_pool"];

/** What is wrong with each layer; an empty text where nothing is. @param {Row[]} rows @returns {string[]} */
export const problemsOf = (rows) => rows.map((row, index) => placeOf(rows, row, index) || optionsOf(row) || sizeOf(rows, row, index));

/** Whether a layer may stand where it does. @param {Row[]} rows @param {Row} row @param {number} index */
function placeOf(rows, { layer, name, grows }, index) {
  const { type } = layer;
  const grown = rows.slice(0, index).find((earlier) => earlier.grows);
  const loss = LOSSES.includes(type);
  if (!OPTIONS[type] && !PLAIN.includes(type)) return words.unknown(type);
  if ((type === "input") !== (index === 0)) return words.input;
  if (loss !== (index === rows.length - 1)) return words.loss;
  if (rows.slice(0, index).some((earlier) => earlier.name === name)) return words.twice(name);
  if (grown && grows) return words.secondGrows(grown.name);
  return grown && !loss && !FREE.includes(type) ? words.afterGrowth(grown.name) : "";
}

/** Whether the options are numbers as they must be. @param {Row} row */
function optionsOf({ layer }) {
  const wrong = (OPTIONS[layer.type] ?? []).filter(({ choices, earlier }) => !choices && !earlier).find((option) => !isGood(option, layer[option.key]));
  if (wrong) return (wrong.max ?? wrong.below) === undefined ? words.whole(wrong.key, wrong.min ?? 0) : words.share(wrong.key, wrong.below !== undefined);
  const [window, padding] = [both(layer.kernel ?? layer.size ?? Infinity), both(layer.padding ?? 0)];
  return padding.some((side, axis) => side >= window[axis]) ? words.padding : "";
}

/** Width and height of what may be one number. @param {unknown} value @returns {number[]} */
const both = (value) => /** @type {number[]} */ (Array.isArray(value) ? value : [value, value]);

/** @param {Option} option @param {unknown} value */
function isGood({ min = 0, max, below, pair, needed }, value) {
  if (value === undefined) return !needed;
  if (Array.isArray(value) && (!pair || value.length !== 2)) return false;
  const fraction = max !== undefined || below !== undefined;
  return both(value).every((side) => Number.isFinite(side) && (fraction || Number.isInteger(side)) && side >= min && side <= (max ?? Infinity) && side < (below ?? Infinity));
}

/** Whether the sizes agree. @param {Row[]} rows @param {Row} row @param {number} index */
function sizeOf(rows, { layer, fits }, index) {
  if (!index) return fits ? "" : words.pictures;
  const size = rows[index - 1].shape;
  if (!size.length) return ""; // said where it begins
  const groups = Number(layer.groups ?? (layer.type === "maxout" ? 2 : 1));
  if (["maxout", "group_norm"].includes(layer.type) && size[2] % groups) return words.groups(size[2], groups);
  if (!fits) return words.fits(size.join("×"));
  if (layer.type === "add") return skipOf(rows, layer, index);
  return LOSSES.includes(layer.type) && size[0] * size[1] > 1 ? words.flat(size.join("×")) : "";
}

/** Whether what a skip adds is there, and of the same size. @param {Row[]} rows @param {import("../types").Layer} layer @param {number} index */
function skipOf(rows, layer, index) {
  const size = rows[index - 1].shape.join("×");
  const other = rows.slice(0, index).find(({ name }) => name === layer.from);
  if (!other) return sources(rows, index).length ? words.source(size) : words.noSource(size);
  const theirs = other.shape.join("×");
  return theirs === size ? "" : words.unequal(other.name, theirs, size);
}
