// The words about a new project and its network: the form, the layer editor, the presets. Fetched with the form, when it is opened.
// Beside ../text.js, and translated with it.
import { plural } from "../format.js";
import { sentence } from "../text.js";

export const create = {
  lead: "Pictures are added in the next step.",
  begin: "Begin with",
  begins: { network: "A network", model: "A model file" },
  name: "Name",
  nameHint: "What volunteers see, for example Leaves of the botanic garden",
  preset: "Network",
  own: "Layers as JSON",
  yours: "Your own",
  period: "Period T",
  periodHint: "Length of one iteration in seconds. Longer for slow links, shorter for quick feedback.",
  layers: "Layers",
  editedHint: "Changed by hand. Undo, or choose a preset, to go back.",
  layersHint: "A list of layers, from input to softmax. A fully_connected without units has one output per label.",
  hyper: "Training settings",
  hyperHint: "The defaults suit most networks.",
  submit: "Create project",
  working: "Creating …",
  nameMissing: "Give the project a name.",
  periodWrong: "The period must be a number from 0.2 to 60 seconds.",
  json: (/** @type {string} */ why) => `This is not valid JSON: ${sentence(why)} Correct it, or choose a preset and change that.`,
  file: "Open a file",
  fileHint: "A list of layers, or a model: one that was downloaded here, or one of the prototype of 2015",
  taken: (/** @type {string} */ name, /** @type {number} */ layers) => `${plural(layers, "layer", "layers")} of ${name}`,
  notLayers: (/** @type {string} */ name) => `${name} holds no layers: choose a JSON file with a list of layers, or a downloaded model.`,
  not2015: (/** @type {string} */ name, /** @type {string} */ type) => `${name} has a layer or an activation called ${type}, which is not known here: choose another file, or begin with a preset.`,
  toEditor: "Show in the editor",
  notList: "The layers must be a JSON list: [{…}, {…}].",
};

export const editing = {
  undo: "Undo",
  redo: "Redo",
  add: "Add a layer",
  addHint: "It goes before the output.",
  up: (/** @type {string} */ name) => `Move ${name} up`,
  down: (/** @type {string} */ name) => `Move ${name} down`,
  drop: (/** @type {string} */ name) => `Remove ${name}`,
  drag: "Drag to another place",
  edited: "Own network",
  option: /** @type {Record<string, string>} */ ({
    filters: "filters",
    kernel: "kernel",
    stride: "stride",
    padding: "padding",
    size: "size",
    units: "units",
    rate: "rate",
    slope: "slope",
    groups: "groups",
    from: "adds",
    rounding: "rounding",
  }),
  auto: "labels",
  none: "choose …",
  asWindow: "size",
  choice: /** @type {Record<string, string>} */ ({ floor: "down", round: "nearest" }),
};

/** What can be seen to be wrong with a layer, at its place. */
export const problems = {
  unknown: (/** @type {string} */ type) => `There is no layer of the type ${type}: remove it.`,
  input: "A network has one input, and it is the first layer.",
  loss: "A network ends with one softmax or squared error, and nothing follows it.",
  twice: (/** @type {string} */ name) => `Two layers have the name ${name}: one of them needs another.`,
  secondGrows: (/** @type {string} */ name) => `Only one layer may have one output per label, and ${name} has: give this one a number.`,
  afterGrowth: (/** @type {string} */ name) => `It cannot follow ${name}, which grows with the labels: move it up.`,
  whole: (/** @type {string} */ key, /** @type {number} */ low) => `Its ${key} must be a whole number, ${low} or more.`,
  share: (/** @type {string} */ key, /** @type {boolean} */ below) => `Its ${key} must be a number from 0 to ${below ? "just below 1" : "1"}.`,
  padding: "Its padding must be smaller than its window.",
  pictures: "Pictures have at least one pixel each way.",
  groups: (/** @type {number} */ channels, /** @type {number} */ groups) => `${channels} channels cannot be divided into ${groups} groups: choose a divisor.`,
  fits: (/** @type {string} */ size) => `It does not fit into ${size}: make it smaller, or add padding.`,
  flat: (/** @type {string} */ size) => `It needs one value per label, but gets ${size}: put a fully connected layer before it.`,
  source: (/** @type {string} */ size) => `Choose which earlier layer is added; it must have the size ${size}.`,
  noSource: (/** @type {string} */ size) => `No earlier layer has the size ${size}, so there is nothing to add: move it, or put another layer before it.`,
  unequal: (/** @type {string} */ name, /** @type {string} */ theirs, /** @type {string} */ ours) => `${name} has the size ${theirs}, but what comes in is ${ours}: choose another layer.`,
};

/** Name and one line of each preset. @type {Record<string, [string, string]>} */
export const presets = {
  digits: ["Digits 8×8: one small convolution", "Learns scikit-learn's handwritten digits within a minute."],
  mnist: ["MNIST: the paper's network", "Convolution 5×5 with 16 filters, pooling 3/3, fully connected (Meeds et al., 2015): the prototype's simple MNIST, 10,666 parameters."],
  "mnist-local": ["MNIST: the paper's network, local steps", "The same network; each worker takes steps of its own: 97 % right within ten seconds, on one device."],
  cifar10: ["CIFAR-10: three convolutions 16-20-20", "ConvNetJS's demo network for small colour pictures."],
  residual: ["Colour 32×32: small residual network", "Two residual blocks with group norm, 28,842 parameters with 10 labels."],
  "four-conv": ["Colour 32×32: four convolutions 32-32-64-64", "1.1 million parameters: for many devices or patient ones."],
  linear: ["Linear: softmax regression", "No hidden layer: the simplest network there is, and a baseline."],
  hidden: ["Fully connected: two hidden layers", "50 and 50 units with ReLU and dropout: the classic before convolutions."],
  "mnist-two": ["MNIST: two convolutions 8-16", "The prototype's elaborate MNIST: 4,874 parameters."],
  "cifar10-2015": ["CIFAR-10: two convolutions 12-24", "Small and quick: 10,306 parameters."],
  "cifar100-a": ["CIFAR-100, model A: 24-48", "Kernels 6/3 and 4/2: 40,396 parameters with 100 labels."],
  "cifar100-b": ["CIFAR-100, model B: 24-64", "Kernels 5/2 and 3/2, pooling that overlaps: 175,812 parameters with 100 labels."],
  "cifar100-c": ["CIFAR-100, model C: 24-64-128", "Model B with a third convolution: 163,908 parameters with 100 labels."],
  "imagenet-a": ["Colour 224×224: ImageNet, model A", "For large pictures: 1.8 million parameters with 1,000 labels. For many devices and a long T."],
};

/** What the presets are listed under. @type {Record<string, string>} */
export const presetGroups = { ours: "To begin with", prototype: "As in the prototype of 2015" };
