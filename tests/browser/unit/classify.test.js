import {expect} from "/vendor/chai.js";
import {Classifier} from "/static/js/classify.js";
import {compile, createNetwork} from "/static/js/engine/wasm.js";

const LAYERS = [
  {type: "input", width: 8, height: 8, channels: 1, mean: [0.5], std: [0.3]},
  {type: "conv", filters: 4, kernel: 3, padding: 1},
  {type: "relu"},
  {type: "fully_connected"},
  {type: "softmax"},
];
const LABELS = ["a", "b", "c"];
const pictures = n => Uint8Array.from({length: 64 * n}, (_, i) => (i * i * 7) % 256);

let module;
before(async () => {
  module = await compile(await (await fetch("/static/engine.wasm")).arrayBuffer());
});

async function make() {
  const said = [];
  const classifier = new Classifier({
    createNetwork: async (layers, labels, batch) => createNetwork(module, layers, labels.length, batch),
    say: message => said.push(message),
  });
  await classifier.tracker.network({version: 1, layers: LAYERS, labels: LABELS});
  const network = createNetwork(module, LAYERS, 3, 16);
  network.setParameters(network.initial(5));
  const show = () => classifier.tracker.parameters({iteration: 12, version: 1, vector: network.initial(5)});
  return {classifier, said, network, show, told: id => said.find(message => message.id === id)};
}

describe("classifier", () => {
  it("tells the newest network's probabilities, of any number of pictures", async () => {
    const {classifier, network, show, told} = await make();
    await show();
    classifier.classify({type: "classify", id: 1, pixels: pictures(20), n: 20});
    const {labels, probabilities, iteration} = told(1);
    expect({labels, iteration}).to.deep.equal({labels: LABELS, iteration: 12});
    for (const i of [0, 15, 16, 19]) {
      const own = network.probabilities(pictures(20).subarray(64 * i, 64 * i + 64), 1);
      expect([...probabilities.subarray(3 * i, 3 * i + 3)]).to.deep.equal([...own]);
    }
  });

  it("tells of outputs that have no label yet, too", async () => {
    const {classifier, told} = await make();
    const layers = LAYERS.map(layer => (layer.type === "fully_connected" ? {...layer, units: 5} : layer));
    await classifier.tracker.network({version: 2, layers, labels: LABELS});
    const network = createNetwork(module, layers, 3, 16);
    await classifier.tracker.parameters({iteration: 1, version: 2, vector: network.initial(5)});
    network.setParameters(network.initial(5));
    classifier.classify({type: "classify", id: 9, pixels: pictures(2), n: 2});
    expect([...told(9).probabilities.subarray(5)]).to.deep.equal([...network.probabilities(pictures(2).subarray(64), 1)]);
  });

  it("tells what a layer sees, with its shape", async () => {
    const {classifier, network, show, told} = await make();
    await show();
    classifier.look({type: "look", id: 2, pixels: pictures(1), layer: "conv1"});
    expect(told(2).shape).to.deep.equal([8, 8, 4]);
    expect(told(2).values).to.deep.equal(network.activations("conv1", pictures(1), 1));
    expect(told(2).layers).to.deep.equal(network.names);
  });

  it("tells the first filters", async () => {
    const {classifier, network, show, told} = await make();
    await show();
    classifier.weights({type: "weights", id: 3});
    expect(told(3)).to.deep.include({name: network.layout[0].name, shape: network.layout[0].shape});
    expect(told(3).values).to.deep.equal(network.initial(5).slice(0, network.layout[0].size));
  });

  it("answers every question, also those that it cannot", async () => {
    const {classifier, show, told} = await make();
    classifier.classify({type: "classify", id: 4, pixels: pictures(1)});
    expect(told(4).reason).to.match(/no parameters have come yet/);
    await show();
    classifier.look({type: "look", id: 5, pixels: pictures(1), layer: "conv9"});
    expect(told(5).reason).to.match(/conv9/);
    classifier.classify({type: "classify", id: 6, pixels: new Uint8Array(3)});
    expect(told(6).reason).to.match(/./);
    classifier.weights({type: "weights", id: 7, name: "nobody"});
    expect(told(7).reason).to.match(/nobody/);
  });

  it("says when it has a new snapshot, and asks for the next", async () => {
    const {said, show} = await make();
    await show();
    expect(said.map(({type, what}) => what ?? type)).to.deep.equal(["snapshot", "free"]);
    const {iteration, labels, layers, blocks} = said[0];
    expect({iteration, labels}).to.deep.equal({iteration: 12, labels: LABELS});
    expect(layers[1]).to.deep.equal({name: "conv1", shape: [8, 8, 4]});
    expect(blocks[0]).to.deep.equal({name: "conv1.weights", shape: [3, 3, 1, 4]});
  });
});
