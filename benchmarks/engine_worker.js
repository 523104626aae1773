/**
 * The Web Worker of benchmarks/engine.py: computes gradients as a trainer does and counts vectors per second.
 *
 * Message in: {engine: "ours" | "convnetjs", layers, labels, batch, ms, wasm, convnetjs} (the last two are addresses).
 * Message out: {rate} of the best window, {first: ms from the worker's start to its first gradient}, or {error}.
 */
import { compile, createNetwork } from "/static/js/engine/wasm.js";

const WINDOW_MS = 20; // short, so that one of them is undisturbed on a busy machine

/** The same pixels and labels for every engine. */
function batchOf(layers, labels, n) {
  const { width, height, channels } = layers[0];
  const pixels = new Uint8Array(n * width * height * channels);
  for (let i = 0, x = 1; i < pixels.length; i++) pixels[i] = (x = (x * 48271) % 2147483647) & 255;
  return { pixels, answers: Array.from({ length: n }, (_, i) => (i * 7) % labels) };
}

async function ours({ layers, labels, batch, wasm }) {
  const network = createNetwork(await compile(await (await fetch(wasm)).arrayBuffer()), layers, labels, batch);
  network.setParameters(network.initial(1));
  network.clear();
  const { pixels, answers } = batchOf(layers, labels, batch);
  return () => network.gradient(pixels, answers, batch);
}

async function convnetjs({ layers, labels, batch, convnetjs: address }) {
  const module = { exports: {} };
  new Function("module", await (await fetch(address)).text())(module);
  const lib = module.exports;
  const net = new lib.Net();
  net.makeLayers(translate(layers, labels));
  const { width, height, channels } = layers[0];
  const { pixels, answers } = batchOf(layers, labels, batch);
  const volumes = answers.map((_, n) => {
    const volume = new lib.Vol(width, height, channels, 0);
    for (let i = 0; i < volume.w.length; i++) volume.w[i] = pixels[n * volume.w.length + i] / 255;
    return volume;
  });
  return () => volumes.forEach((volume, n) => (net.forward(volume, true), net.backward(answers[n])));
}

/** Our spec as ConvNetJS's. */
function translate(layers, labels) {
  const out = [];
  for (const layer of layers) {
    const last = out[out.length - 1];
    const { type, width, height, channels, kernel, filters, padding } = layer;
    if (type === "input") out.push({ type, out_sx: width, out_sy: height, out_depth: channels });
    if (type === "conv") out.push({ type, sx: kernel, filters, stride: 1, pad: padding });
    if (layer.type === "max_pool") out.push({ type: "pool", sx: layer.size, stride: layer.size });
    if (layer.type === "fully_connected" && layer.units) out.push({ type: "fc", num_neurons: layer.units });
    if (layer.type === "relu") last.activation = "relu";
    if (layer.type === "softmax") out.push({ type: "softmax", num_classes: labels });
  }
  return out;
}

/** Vectors per second of the best window within `ms`. */
function measure(step, batch, ms) {
  const end = performance.now() + ms;
  let best = 0;
  do {
    const start = performance.now();
    let count = 0, now = start;
    do {
      step();
      count += batch;
    } while ((now = performance.now()) - start < WINDOW_MS);
    best = Math.max(best, (count / (now - start)) * 1000);
  } while (performance.now() < end);
  return best;
}

onmessage = async ({ data }) => {
  try {
    const step = await (data.engine === "ours" ? ours : convnetjs)(data);
    step();
    postMessage({ first: true });
    postMessage({ rate: measure(step, data.batch, data.ms) });
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
