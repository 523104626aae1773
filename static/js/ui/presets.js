// Networks to start from, each with a T and a learning rate that were tried (those for CIFAR-100 on CIFAR-10, ImageNet's not). Their words are in making/text.js.
import { presets as said } from "./making/text.js";

/** @typedef {import("./types").Layer} Layer @typedef {import("./types").Size} Size */
/** @typedef {{id: string, group?: string, size: Size, period: number, learning_rate: number, warmup: number, hyper?: Record<string, string>, body: Layer[]}} Network @typedef {Network & {group: string, name: string, note: string}} Preset */

const OLD = "prototype";

/** @param {number} filters @param {number} kernel @returns {Layer} */
const conv = (filters, kernel) => ({ type: "conv", filters, kernel, stride: 1, padding: (kernel - 1) / 2 });
/** @param {number} size @returns {Layer} */
const pool = (size) => ({ type: "max_pool", size, stride: size });
const relu = { type: "relu" };
const head = [{ type: "fully_connected" }, { type: "softmax" }];

/** As the prototype had them: nothing is added around the picture, and sizes are rounded to the nearest. @param {number} stride */
const rounded = (stride) => (stride > 1 ? { stride, rounding: "round" } : { stride });
/** @param {number} filters @param {number} kernel @param {number} [stride] @returns {Layer[]} */
const oldConv = (filters, kernel, stride = 1) => [{ type: "conv", filters, kernel, ...rounded(stride) }, relu];
/** @param {number} size @param {number} stride @returns {Layer} */
const oldPool = (size, stride) => ({ type: "max_pool", size, ...rounded(stride) });
/** What its models B and C for CIFAR-100 begin with. */
const cifar100 = [...oldConv(24, 5, 2), oldPool(3, 1), ...oldConv(64, 3, 2), oldPool(2, 1)];
const papers = [...oldConv(16, 5), oldPool(3, 3), ...head];

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
    body: papers,
  },
  {
    id: "mnist-local",
    size: { width: 28, height: 28, channels: 1 },
    period: 1.5,
    learning_rate: 1, // of SGD: the mean of what the workers found, as it is
    warmup: 0,
    hyper: { optimizer: "sgd", local_steps: "true", local_rate: "0.007", local_momentum: "0.9" },
    body: papers,
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
  // The prototype's list. Its variants with dropout are these and a layer more; its ImageNet B and C have more parameters than a project may.
  {
    id: "mnist-two",
    group: OLD,
    size: { width: 28, height: 28, channels: 1 },
    period: 4,
    learning_rate: 0.1,
    warmup: 20,
    body: [...oldConv(8, 5), oldPool(2, 2), ...oldConv(16, 5), oldPool(3, 3), ...head],
  },
  {
    id: "cifar10-2015",
    group: OLD,
    size: { width: 32, height: 32, channels: 3 },
    period: 4,
    learning_rate: 0.02,
    warmup: 20,
    body: [...oldConv(12, 5), oldPool(3, 2), ...oldConv(24, 5), oldPool(4, 4), ...head],
  },
  {
    id: "cifar100-a",
    group: OLD,
    size: { width: 32, height: 32, channels: 3 },
    period: 4,
    learning_rate: 0.01,
    warmup: 20,
    body: [...oldConv(24, 6, 3), oldPool(3, 1), ...oldConv(48, 4, 2), oldPool(2, 1), ...head],
  },
  {
    id: "cifar100-b",
    group: OLD,
    size: { width: 32, height: 32, channels: 3 },
    period: 4,
    learning_rate: 0.01,
    warmup: 20,
    body: [...cifar100, ...head],
  },
  {
    id: "cifar100-c",
    group: OLD,
    size: { width: 32, height: 32, channels: 3 },
    period: 4,
    learning_rate: 0.01,
    warmup: 20,
    body: [...cifar100, ...oldConv(128, 2), oldPool(2, 1), ...head],
  },
  {
    id: "imagenet-a",
    group: OLD,
    size: { width: 224, height: 224, channels: 3 },
    period: 10,
    learning_rate: 0.01,
    warmup: 20,
    body: [...oldConv(24, 11, 4), oldPool(3, 2), ...oldConv(48, 4, 2), oldPool(3, 2), ...head],
  },
];

/** @type {Preset[]} */
export const PRESETS = NETWORKS.map((network) => ({ group: "ours", ...network, name: said[network.id][0], note: said[network.id][1] }));

/** The preset's layers for pictures of this size. @param {Preset} preset @param {Size} size @returns {Layer[]} */
export const layersOf = (preset, size) => [{ type: "input", ...size }, ...preset.body];
