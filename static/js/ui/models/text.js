// The words of what is done with models, beside ../text.js because they come with it: when it is first opened.
import { bytes, count, plural } from "../format.js";

export const words = {
  takeLead: "As it is now, also in the middle of an iteration.",
  json: "Model (JSON)",
  jsonNote: "Everything that is needed to use it or to begin a project with it. It can be read without MLitB.",
  optimizer: "Model with optimizer state (JSON)",
  optimizerNote: "Two to three times as large. Training goes on from it exactly, as if it had never stopped.",
  notes: /** @type {Record<string, string>} */ ({
    onnx: "For other programs: from pixels to probabilities, with the normalisation inside.",
    safetensors: "The parameters by name, for Python and other tools.",
    card: "Markdown: what is known of the model, for people.",
    html: "One file that classifies pictures in any browser, without a server. Give it to anyone.",
  }),
  formsFailed: (/** @type {string} */ why) => `The other forms could not be listed. ${why}`,
  about: "About the model",
  aboutHint: "It travels with every download.",
  description: "Description",
  author: "Author",
  licence: "Licence",
  licenceHint: "For example CC-BY-4.0",
  save: "Save",
  saved: "Saved.",
  anew: "Start a new project from this model",
  anewLead: "Its last layer is dropped and learns the labels of other pictures; all before it begins with what this model knows.",
  anewName: (/** @type {string} */ name) => `${name.slice(0, 80)}, other labels`,
  name: "Name",
  nameMissing: "Give the project a name.",
  freeze: "Freeze",
  freezeHint: "Frozen layers stay exactly as they are; only what is behind them learns. Freeze the first ones when you have few pictures.",
  noneToFreeze: "Its only layer with parameters is the last one, which begins anew.",
  create: "Create project",
  working: "Creating …",

  choose: "Choose a model file",
  chooseHint: "A model that was downloaded here, or a file of MLitB 2015.",
  reading: "Reading the file …",
  tooLong: (/** @type {string} */ name, /** @type {number} */ size, /** @type {number} */ most) => `${name} has ${bytes(size)}; the largest model file has ${bytes(most)}.`,
  what: (/** @type {number} */ parameters, /** @type {string[]} */ labels, /** @type {number} */ iteration) =>
    `${plural(parameters, "parameter", "parameters")}, ${plural(labels.length, "label", "labels")} (${some(labels)}), iteration ${count(iteration)}`,
  how: "What to do with it",
  hows: { continue: "Go on training", transfer: "Teach other labels" },
  continueHint: "It stands where the model stood: parameters, labels, iteration and curve. Give it pictures with the same labels; new labels are learned in addition.",
  withState: "The file holds the optimizer's state: the loss goes on exactly.",
  withoutState: "The file holds no optimizer state, so the loss may jump for some iterations.",
  transferHint: "Its last layer and its labels are dropped; the labels of your pictures take their place.",
};

/** @param {string[]} labels */
function some(labels) {
  const shown = labels.slice(0, 6).join(", ");
  return labels.length > 6 ? `${shown}, …` : shown;
}
