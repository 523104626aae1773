// Networks to start from, and the hyper-parameters with one line each about what they do.

/** @typedef {import("./types").Layer} Layer @typedef {import("./types").Size} Size */
/** @typedef {{id: string, name: string, note: string, size: Size, period: number, learning_rate: number, warmup: number, body: Layer[]}} Preset a network, with a T and a learning rate that were tried */

/** @param {number} filters @param {number} kernel @returns {Layer} */
const conv = (filters, kernel) => ({ type: "conv", filters, kernel, stride: 1, padding: (kernel - 1) / 2 });
/** @param {number} size @returns {Layer} */
const pool = (size) => ({ type: "max_pool", size, stride: size });
const relu = { type: "relu" };
const head = [{ type: "fully_connected" }, { type: "softmax" }];

/** @type {Preset[]} */
export const PRESETS = [
  {
    id: "digits",
    name: "Digits 8×8: one small convolution",
    note: "Learns scikit-learn's handwritten digits within a minute.",
    size: { width: 8, height: 8, channels: 1 },
    period: 1,
    learning_rate: 0.05,
    warmup: 5,
    body: [conv(16, 3), relu, pool(2), ...head],
  },
  {
    id: "mnist",
    name: "MNIST: the paper's network",
    note: "Convolution 5×5 with 16 filters, pooling 3/3, fully connected (Meeds et al., 2015).",
    size: { width: 28, height: 28, channels: 1 },
    period: 4,
    learning_rate: 0.1,
    warmup: 20,
    body: [conv(16, 5), relu, pool(3), ...head],
  },
  {
    id: "cifar10",
    name: "CIFAR-10: three convolutions 16-20-20",
    note: "ConvNetJS's demo network for small colour pictures.",
    size: { width: 32, height: 32, channels: 3 },
    period: 4,
    learning_rate: 0.02,
    warmup: 20,
    body: [conv(16, 5), relu, pool(2), conv(20, 5), relu, pool(2), conv(20, 5), relu, pool(2), ...head],
  },
  {
    id: "four-conv",
    name: "Colour 32×32: four convolutions 32-32-64-64",
    note: "1.1 million parameters: for many devices or patient ones.",
    size: { width: 32, height: 32, channels: 3 },
    period: 8,
    learning_rate: 0.02,
    warmup: 20,
    body: [
      ...[conv(32, 3), relu, conv(32, 3), relu, pool(2), conv(64, 3), relu, conv(64, 3), relu, pool(2)],
      ...[{ type: "fully_connected", units: 256 }, relu, ...head],
    ],
  },
  {
    id: "linear",
    name: "Linear: softmax regression",
    note: "No hidden layer: the simplest network there is, and a baseline.",
    size: { width: 28, height: 28, channels: 1 },
    period: 2,
    learning_rate: 0.05,
    warmup: 10,
    body: head,
  },
];

/** The preset's layers for pictures of this size. @param {Preset} preset @param {Size} size @returns {Layer[]} */
export const layersOf = (preset, size) => [{ type: "input", ...size }, ...preset.body];

/**
 * A hyper-parameter: what it is called here, and what it does in one line.
 * @typedef {{key: string, label: string, hint: string, kind: "number" | "choice" | "switch", choices?: string[], value: number | string | boolean, step?: number, min?: number, max?: number}} Hyper
 */
/** @type {Hyper[]} */
export const HYPER = [
  {
    key: "learning_rate",
    label: "Learning rate",
    hint: "How far one step goes. Too large: the loss jumps. Too small: it creeps.",
    kind: "number",
    value: 0.01,
    min: 0,
  },
  {
    key: "optimizer",
    label: "Optimizer",
    hint: "AdaGrad fits its steps to each parameter by itself; it is the paper's.",
    kind: "choice",
    choices: ["adagrad", "sgd", "nesterov", "rmsprop", "adam"],
    value: "adagrad",
  },
  { key: "momentum", label: "Momentum", hint: "Share of the last step that is repeated (sgd, nesterov, rmsprop).", kind: "number", value: 0, min: 0, max: 0.99999 },
  { key: "l2", label: "L2 decay", hint: "Pulls large weights towards zero, against overfitting.", kind: "number", value: 0, min: 0 },
  { key: "l1", label: "L1 decay", hint: "Pulls all weights towards zero and makes many exactly zero.", kind: "number", value: 0, min: 0 },
  { key: "clip", label: "Gradient clip", hint: "Largest length of the mean gradient. 0: any.", kind: "number", value: 0, min: 0 },
  { key: "decay", label: "Rate decay", hint: "The learning rate is multiplied by this at each decay. 1: never.", kind: "number", value: 1, min: 0, max: 1 },
  { key: "decay_interval", label: "Decay every", hint: "Iterations from one decay to the next. 0: never.", kind: "number", value: 0, min: 0 },
  { key: "decay_floor", label: "Decay floor", hint: "The learning rate never decays below this.", kind: "number", value: 0, min: 0 },
  { key: "warmup", label: "Warm-up", hint: "Steps over which the learning rate rises from nothing.", kind: "number", value: 0, min: 0 },
  { key: "vectors", label: "Vectors per worker", hint: "The most that one worker computes in one iteration. 0: any.", kind: "number", value: 0, min: 0 },
  {
    key: "close_when_saturated",
    label: "Close when saturated",
    hint: "An iteration ends early when every worker has used all it holds.",
    kind: "switch",
    value: false,
  },
];
