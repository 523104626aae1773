// Networks to start from, each with a T and a learning rate that were tried. Their words are in training/text.js.
import { presets as said } from "./training/text.js";

/** @typedef {import("./types").Layer} Layer @typedef {import("./types").Size} Size */
/** @typedef {{id: string, size: Size, period: number, learning_rate: number, warmup: number, hyper?: Record<string, string>, body: Layer[]}} Network @typedef {Network & {name: string, note: string}} Preset */

/** @param {number} filters @param {number} kernel @returns {Layer} */
const conv = (filters, kernel) => ({ type: "conv", filters, kernel, stride: 1, padding: (kernel - 1) / 2 });
/** @param {number} size @returns {Layer} */
const pool = (size) => ({ type: "max_pool", size, stride: size });
const relu = { type: "relu" };
const head = [{ type: "fully_connected" }, { type: "softmax" }];

const norm = { type: "group_norm", groups: 4 };
/** Two convolutions around which the input of the block goes. @param {number} filters @param {string} from what the block begins with, by name @returns {Layer[]} */
const block = (filters, from) => [conv(filters, 3), norm, relu, conv(filters, 3), norm, { type: "add", from }, relu];

/** @type {Network[]} */
const NETWORKS = [
  {
    id: "digits",
    size: { width: 8, height: 8, channels: 1 },
    period: 1,
    learning_rate: 0.05,
    warmup: 5,
    body: [conv(16, 3), relu, pool(2), ...head],
  },
  {
    id: "mnist",
    size: { width: 28, height: 28, channels: 1 },
    period: 4,
    learning_rate: 0.1,
    warmup: 20,
    body: [conv(16, 5), relu, pool(3), ...head],
  },
  {
    id: "mnist-local",
    size: { width: 28, height: 28, channels: 1 },
    period: 1.5,
    learning_rate: 1, // of SGD: the mean of what the workers found, as it is
    warmup: 0,
    hyper: { optimizer: "sgd", local_steps: "true", local_rate: "0.007", local_momentum: "0.9" },
    body: [conv(16, 5), relu, pool(3), ...head],
  },
  {
    id: "cifar10",
    size: { width: 32, height: 32, channels: 3 },
    period: 4,
    learning_rate: 0.02,
    warmup: 20,
    body: [conv(16, 5), relu, pool(2), conv(20, 5), relu, pool(2), conv(20, 5), relu, pool(2), ...head],
  },
  {
    id: "residual",
    size: { width: 32, height: 32, channels: 3 },
    period: 8,
    learning_rate: 0.05,
    warmup: 20,
    body: [
      ...[conv(16, 3), norm, relu, { ...pool(2), name: "start1" }, ...block(16, "start1")],
      ...[conv(32, 3), norm, relu, { ...pool(2), name: "start2" }, ...block(32, "start2")],
      ...[{ type: "global_average_pool" }, ...head],
    ],
  },
  {
    id: "four-conv",
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
    size: { width: 28, height: 28, channels: 1 },
    period: 2,
    learning_rate: 0.05,
    warmup: 10,
    body: head,
  },
  {
    id: "hidden",
    size: { width: 28, height: 28, channels: 1 },
    period: 2,
    learning_rate: 0.02,
    warmup: 10,
    body: [{ type: "fully_connected", units: 50 }, relu, { type: "dropout", rate: 0.2 }, { type: "fully_connected", units: 50 }, relu, ...head],
  },
];

/** @type {Preset[]} */
export const PRESETS = NETWORKS.map((network) => ({ ...network, name: said[network.id][0], note: said[network.id][1] }));

/** The preset's layers for pictures of this size. @param {Preset} preset @param {Size} size @returns {Layer[]} */
export const layersOf = (preset, size) => [{ type: "input", ...size }, ...preset.body];
