// Changes to a list of layers, pure: what the visual editor does. The first layer is the input, the last the loss; both stay.

/** @typedef {import("./types").Layer} Layer */
/** @typedef {{key: string, min?: number, step?: number, text?: boolean, auto?: boolean}} Option a blank `auto` means one output per label */

const sliding = [
  { key: "stride", min: 1 },
  { key: "padding", min: 0 },
];

/** What can be typed for each type of layer. @type {Record<string, Option[]>} */
export const OPTIONS = {
  conv: [{ key: "filters", min: 1, auto: true }, { key: "kernel", min: 1 }, ...sliding],
  max_pool: [{ key: "size", min: 1 }, ...sliding],
  average_pool: [{ key: "size", min: 1 }, ...sliding],
  fully_connected: [{ key: "units", min: 1, auto: true }],
  leaky_relu: [{ key: "slope", min: 0, step: 0.01 }],
  maxout: [{ key: "groups", min: 1 }],
  dropout: [{ key: "rate", min: 0, step: 0.05 }],
  group_norm: [{ key: "groups", min: 1 }],
  add: [{ key: "from", text: true }],
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

/** Put a layer before the output: the growing layer and what follows it. @param {Layer[]} layers @param {Layer} layer */
export function added(layers, layer) {
  const grows = layers.findIndex(({ type, units, filters }) => (type === "fully_connected" && units === undefined) || (type === "conv" && filters === undefined));
  const at = grows < 0 ? layers.length - 1 : grows;
  return [...layers.slice(0, at), { ...layer }, ...layers.slice(at)];
}

/** @param {Layer[]} layers @param {number} index */
export const removed = (layers, index) => layers.filter((_, i) => i !== index);

/** Move a layer; it never passes the input or the loss. @param {Layer[]} layers @param {number} from @param {number} to */
export function moved(layers, from, to) {
  const place = Math.max(1, Math.min(layers.length - 2, to));
  const rest = removed(layers, from);
  return [...rest.slice(0, place), layers[from], ...rest.slice(place)];
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
  if (option.text) return trimmed;
  if (!trimmed) return undefined;
  const sides = trimmed.split(/[×x, ]+/).map(Number);
  return sides.length > 1 ? sides : sides[0];
}

/** @param {unknown} value */
export const showOption = (value) => (Array.isArray(value) ? value.join("×") : value === undefined ? "" : String(value));
