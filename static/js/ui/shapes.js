// Output sizes and parameter counts of a network, for display while it is being described. The server checks for real.

/** @typedef {import("./types").Layer} Layer */
/** @typedef {{layer: Layer, name: string, options: string, shape: number[], parameters: number, macs: number, grows: boolean, fits: boolean}} Row `fits`: its output has a size */

/** @param {unknown} value @param {number} fallback @returns {[number, number]} */
const pair = (value, fallback) => {
  if (Array.isArray(value)) return [Number(value[0]), Number(value[1])];
  const one = value === undefined ? fallback : Number(value);
  return [one, one];
};

/** @param {number} size @param {number} window @param {number} stride @param {number} padding @param {unknown} rounding */
function positions(size, window, stride, padding, rounding) {
  const steps = (size + 2 * padding - window) / stride;
  return (rounding === "round" ? Math.round(steps) : Math.floor(steps)) + 1;
}

/** The sliding window of conv and pool. @param {Layer} layer @param {number[]} from @param {unknown} size */
function slide(layer, [width, height], size) {
  const [kx, ky] = pair(size, 1);
  const [sx, sy] = pair(layer.stride, layer.type === "conv" ? 1 : kx);
  const [px, py] = pair(layer.padding, 0);
  return { kx, ky, width: positions(width, kx, sx, px, layer.rounding), height: positions(height, ky, sy, py, layer.rounding) };
}

/** @param {Layer} layer @param {number[]} from @param {number} labels @returns {{shape: number[], parameters: number, macs?: number, grows: boolean}} */
function step(layer, from, labels) {
  const [width, height, channels] = from;
  const grown = (/** @type {unknown} */ n) => ({ n: n === undefined ? labels : Number(n), grows: n === undefined });
  switch (layer.type) {
    case "input":
      return { shape: [Number(layer.width), Number(layer.height), Number(layer.channels ?? 1)], parameters: 0, grows: false };
    case "conv": {
      const { n, grows } = grown(layer.filters);
      const at = slide(layer, from, layer.kernel);
      return { shape: [at.width, at.height, n], parameters: (at.kx * at.ky * channels + 1) * n, macs: at.width * at.height * at.kx * at.ky * channels * n, grows };
    }
    case "max_pool":
    case "average_pool": {
      const at = slide(layer, from, layer.size);
      return { shape: [at.width, at.height, channels], parameters: 0, grows: false };
    }
    case "fully_connected": {
      const { n, grows } = grown(layer.units);
      return { shape: [1, 1, n], parameters: (width * height * channels + 1) * n, macs: width * height * channels * n, grows };
    }
    case "maxout":
      return { shape: [width, height, channels / Number(layer.groups ?? 2)], parameters: 0, grows: false };
    case "group_norm":
      return { shape: from, parameters: 2 * channels, grows: false };
    case "global_average_pool":
      return { shape: [1, 1, channels], parameters: 0, grows: false };
    default:
      return { shape: from, parameters: 0, grows: false };
  }
}

/** The options of a layer in few words. @param {Layer} layer */
function options(layer) {
  const hidden = new Set(["type", "name", "mean", "std", "width", "height", "channels"]);
  return Object.entries(layer)
    .filter(([key]) => !hidden.has(key))
    .map(([key, value]) => `${key.replaceAll("_", " ")} ${Array.isArray(value) ? value.join("×") : String(value)}`)
    .join(", ");
}

/** What a layer is called: by its place, unless it says. @param {Layer} layer @param {number} index */
export const nameOf = (layer, index) => layer.name ?? `${layer.type}${index}`;

/**
 * Every layer with its output size [width, height, channels] and parameters; what comes after one that does not fit has no size.
 * @param {Layer[]} layers @param {number} labels how many labels to assume where the network grows with them
 * @returns {Row[]}
 */
export function describe(layers, labels) {
  let from = [0, 0, 0];
  let whole = true;
  return layers.map((layer, index) => {
    const made = { macs: 0, ...step(layer, from, labels) };
    const fits = made.shape.every((n) => Number.isInteger(n) && n > 0);
    const row = { layer, name: nameOf(layer, index), options: options(layer), ...made, fits: fits || !whole };
    whole &&= fits;
    from = made.shape;
    return whole ? row : { ...row, shape: [], parameters: 0, macs: 0 };
  });
}

/** The earlier layers whose output can be added to what comes in at a place, the nearest first; what comes in itself is none. @param {Row[]} rows @param {number} index */
export function sources(rows, index) {
  const size = rows[index - 1].shape.join();
  const earlier = rows.slice(0, index - 1).filter(({ shape }) => size && shape.join() === size);
  return earlier.reverse();
}

/** @param {Row[]} rows */
export const parameterCount = (rows) => rows.reduce((sum, row) => sum + row.parameters, 0);

/** Floating-point operations of each layer for one picture, forward and backward; the first that multiplies needs no gradient of its input. @param {Row[]} rows */
export function flopsOf(rows) {
  const first = rows.findIndex(({ macs }) => macs);
  return rows.map(({ macs }, index) => (index === first ? 4 : 6) * macs);
}

/** Bytes of each layer's activations and their gradients for one picture, as float32. @param {Row[]} rows */
export const bytesOf = (rows) => rows.map(({ shape }) => (shape.length ? 8 * shape.reduce((n, side) => n * side, 1) : 0));

/** @param {number[]} values */
export const sum = (values) => values.reduce((all, value) => all + value, 0);

/** @param {Layer[]} layers @returns {import("./types").Size} */
export function inputSize(layers) {
  const input = layers.find((layer) => layer.type === "input") ?? { type: "input" };
  return { width: Number(input.width ?? 0), height: Number(input.height ?? 0), channels: Number(input.channels ?? 1) };
}
