// Leaves the hashes of a shard's pixels and of a gradient for Python, which compares them between browsers.

import {expect} from "/vendor/chai.js";
import {compile, createNetwork} from "/static/js/engine/wasm.js";
import {unpack} from "/static/js/unpack.js";
import {digest, makeShard} from "/unit/made.js";

const LAYERS = [
  {type: "input", width: 8, height: 8, channels: 3, mean: [0.5, 0.4, 0.3], std: [0.3, 0.2, 0.1]},
  {type: "conv", filters: 6, kernel: 3, padding: 1},
  {type: "relu"},
  {type: "max_pool", size: 2, stride: 2},
  {type: "fully_connected"},
  {type: "softmax"},
];

describe("bits", () => {
  it("makes the pixels of a shard and a gradient of them", async () => {
    const module = await compile(await (await fetch("/static/engine.wasm")).arrayBuffer());
    const network = createNetwork(module, LAYERS, 2, 16);
    const {pixels, labels} = unpack(makeShard({count: 16, channels: 3, seed: 4}).bytes);
    network.setParameters(network.initial(7));
    network.clear();
    network.gradient(pixels, Int32Array.from(labels), 16, Uint32Array.from(labels), 7, 1);
    const gradient = network.gradientSum().slice();
    expect(gradient.some(value => value)).to.equal(true);
    globalThis.facts = {pixels: digest(pixels), gradient: digest(new Uint8Array(gradient.buffer))};
  });
});
