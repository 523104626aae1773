// The networks in model files of the prototype of 2015, as our layers; mlitb/prototype.py reads the whole model, and a test holds the two together.
// What only its parameters need (pixels of 0 … 255, weights that were multiplied) is no matter here: a new network learns its own.

/** @typedef {import("../types").Layer} Layer @typedef {Record<string, any>} Conf */

/** What follows a layer whose conf names no activation. @type {Record<string, string>} */
const ACTIVATIONS = { conv: "relu", fc: "linear" };
const SIMPLE = ["relu", "sigmoid", "linear", "softmax"];

/** A file's list of confs, if it is one of the prototype's: a model, one with its step, or what its form for a project had. @param {any} found @returns {Conf[] | null} */
export function confsIn(found) {
  const confs = found?.net?.configs ?? found?.configs ?? found;
  const old = confs !== found || (Array.isArray(found) && found.some((conf) => conf?.conf));
  return old && Array.isArray(confs) ? confs.map((conf) => ({ ...conf, ...conf?.conf })) : null;
}

/** The layers of such a list; a text names what has no like among ours. @param {Conf[]} confs @returns {Layer[] | string} */
export function layersOf2015(confs) {
  /** @type {Layer[]} */
  const layers = [];
  let size = [0, 0];
  for (const conf of confs) {
    const activation = (ACTIVATIONS[conf.type] && conf.activation) || ACTIVATIONS[conf.type] || "linear";
    const made = SIMPLE.includes(conf.type) ? { layer: { type: conf.type }, size } : KINDS[conf.type]?.(conf, size);
    if (!made) return String(conf.type);
    if (!SIMPLE.includes(activation)) return String(activation);
    size = made.size;
    layers.push(made.layer, { type: activation });
    if (conf.type !== "dropout" && "drop_prob" in conf) layers.push(dropout(conf));
  }
  return finished(layers.filter(({ type }) => type !== "linear"));
}

/** Let the last layer with parameters grow with the labels, and end with a loss. @param {Layer[]} layers */
function finished(layers) {
  const trained = layers.map(({ type }) => type === "conv" || type === "fully_connected");
  const grown = layers.map((layer, index) => (index === trained.lastIndexOf(true) ? without(layer, "units", "filters") : layer));
  return grown[grown.length - 1]?.type === "softmax" ? grown : [...grown, { type: "squared_error" }];
}

/** @param {Layer} layer @param {string[]} keys */
const without = (layer, ...keys) => /** @type {Layer} */ (Object.fromEntries(Object.entries(layer).filter(([key]) => !keys.includes(key))));

/** @type {Record<string, (conf: Conf, size: number[]) => {layer: Layer, size: number[]}>} */
const KINDS = {
  input: ({ sx, sy, depth }) => ({ layer: { type: "input", width: sx, height: sy, channels: depth }, size: [sx, sy] }),
  conv: (conf, size) => slid({ type: "conv", filters: conf.filters }, "kernel", conf, size, { stride: fitting(conf.stride ?? 1, Math.min(conf.sx, conf.sy ?? conf.sx), 1), padding: conf.pad ?? 0 }),
  pool: (conf, size) => slid({ type: conf.pool_type === "avg" ? "average_pool" : "max_pool" }, "size", conf, size, { stride: fitting(conf.stride ?? Infinity, conf.sx, conf.sx), padding: conf.pad ?? 0 }),
  fc: ({ num_neurons }) => ({ layer: { type: "fully_connected", units: num_neurons }, size: [1, 1] }),
  dropout: (conf, size) => ({ layer: dropout(conf), size }),
};

/** A stride above the window is not what the original took. @param {number} stride @param {number} most @param {number} otherwise */
const fitting = (stride, most, otherwise) => (stride > most ? otherwise : stride);

/** @param {Conf} conf @returns {Layer} */
const dropout = ({ drop_prob }) => ({ type: "dropout", rate: drop_prob ?? 0.5 });

/** @param {Layer} layer @param {"kernel" | "size"} window @param {Conf} conf @param {number[]} size @param {{stride: number, padding: number}} how */
function slid(layer, window, { sx, sy = sx }, size, { stride, padding }) {
  const rooms = [size[0] + 2 * padding - sx, size[1] + 2 * padding - sy];
  const rounded = rooms.some((room) => room % stride);
  const made = { ...layer, [window]: sx === sy ? sx : [sx, sy], stride, ...(padding && { padding }), ...(rounded && { rounding: "round" }) };
  return { layer: made, size: rooms.map((room) => Math.floor(room / stride + 0.5) + 1) };
}
