// Changes to a list of layers, pure: what the visual editor does. The first layer is the input, the last the loss; both stay.
// A layer without a name is called by its place, so whoever names another (a skip) is told its new name at every change.
import { describe, nameOf, sources } from "./shapes.js";

/** @typedef {import("./types").Layer} Layer */
/**
 * A blank `auto` means one output per label, another blank the server's default (`blank`) unless it is `needed`.
 * @typedef {{key: string, min?: number, max?: number, below?: number, pair?: boolean, auto?: boolean, needed?: boolean, choices?: string[], earlier?: boolean, blank?: string}} Option
 */

/** @param {string} [blank] the default stride; of pooling it is the window's size */
const sliding = (blank) => [
  { key: "stride", min: 1, pair: true, blank },
  { key: "padding", min: 0, pair: true, blank: "0" },
  { key: "rounding", choices: ["floor", "round"] },
];

/** What can be typed for each type of layer. @type {Record<string, Option[]>} */
export const OPTIONS = {
  conv: [{ key: "filters", min: 1, auto: true }, { key: "kernel", min: 1, pair: true, needed: true }, ...sliding("1")],
  max_pool: [{ key: "size", min: 1, pair: true, needed: true }, ...sliding()],
  average_pool: [{ key: "size", min: 1, pair: true, needed: true }, ...sliding()],
  fully_connected: [{ key: "units", min: 1, auto: true }],
  leaky_relu: [{ key: "slope", min: 0, max: 1, blank: "0.01" }],
  maxout: [{ key: "groups", min: 1, blank: "2" }],
  dropout: [{ key: "rate", min: 0, below: 1, blank: "0.5" }],
  group_norm: [{ key: "groups", min: 1, blank: "1" }],
  add: [{ key: "from", earlier: true }],
};

/** What a new layer of each type begins as, in the order of the palette. @type {Layer[]} */
export const PALETTE = [
  { type: "conv", filters: 16, kernel: 3, stride: 1, padding: 1 },
  { type: "relu" },
  { type: "max_pool", size: 2, stride: 2 },
  { type: "fully_connected", units: 64 },
  { type: "dropout", rate: 0.5 },
  { type: "average_pool", size: 2, stride: 2 },
  { type: "global_average_pool" },
  { type: "group_norm", groups: 1 },
  { type: "leaky_relu", slope: 0.01 },
  { type: "tanh" },
  { type: "sigmoid" },
  { type: "maxout", groups: 2 },
  { type: "add", from: "" },
];

/** Whether a layer may be moved or removed. @param {Layer[]} layers @param {number} index */
export const isFree = (layers, index) => index > 0 && index < layers.length - 1;

/**
 * The layers in another order, each by where it was, a new one as itself. What named a layer goes on naming it.
 * @param {Layer[]} layers @param {(number | Layer)[]} order
 */
function rearranged(layers, order) {
  const made = order.map((one) => (typeof one === "number" ? layers[one] : one));
  const before = layers.map(nameOf);
  const after = new Map(order.flatMap((one, index) => (typeof one === "number" ? [[before[one], nameOf(made[index], index)]] : [])));
  return made.map((layer, index) => {
    const named = typeof order[index] === "number" && before.includes(String(layer.from));
    return named ? { ...layer, from: after.get(String(layer.from)) ?? "" } : layer;
  });
}

/** @param {Layer[]} layers */
const places = (layers) => layers.map((_, index) => index);

/** Put a layer before the output: the growing layer and what follows it. @param {Layer[]} layers @param {Layer} layer */
export function added(layers, layer) {
  const grows = layers.findIndex(({ type, units, filters }) => (type === "fully_connected" && units === undefined) || (type === "conv" && filters === undefined));
  const at = grows < 0 ? layers.length - 1 : grows;
  const made = rearranged(layers, [...places(layers).slice(0, at), { ...layer }, ...places(layers).slice(at)]);
  if (layer.type === "add") made[at].from = sources(describe(made, 1), at)[0]?.name ?? "";
  return made;
}

/** @param {Layer[]} layers @param {number} index */
export const removed = (layers, index) =>
  rearranged(
    layers,
    places(layers).filter((place) => place !== index),
  );

/** Move a layer; it never passes the input or the loss. @param {Layer[]} layers @param {number} from @param {number} to */
export function moved(layers, from, to) {
  const place = Math.max(1, Math.min(layers.length - 2, to));
  const rest = places(layers).filter((other) => other !== from);
  return rearranged(layers, [...rest.slice(0, place), from, ...rest.slice(place)]);
}

/** Set one option; undefined takes it away. @param {Layer[]} layers @param {number} index @param {Layer} change */
export const changed = (layers, index, change) =>
  layers.map((layer, i) => {
    if (i !== index) return layer;
    const whole = Object.entries({ ...layer, ...change }).filter(([, value]) => value !== undefined);
    return /** @type {Layer} */ (Object.fromEntries(whole));
  });

/** What was typed for an option: a number, a [width, height] pair as "3×5", a text, or nothing. @param {string} typed @param {Option} option */
export function readOption(typed, option) {
  const trimmed = typed.trim();
  if (option.choices || option.earlier) return trimmed;
  if (!trimmed) return undefined;
  const sides = trimmed.split(/[×x, ]+/).map(Number);
  return sides.length > 1 ? sides : sides[0];
}

/** @param {unknown} value */
export const showOption = (value) => (Array.isArray(value) ? value.join("×") : value === undefined ? "" : String(value));
