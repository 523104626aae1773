// The words of the statistics page, beside ../text.js because they come with it: a page that is loaded when it is first opened.
import { count, percent, plural } from "../format.js";

export const words = {
  title: (/** @type {string} */ name) => `Statistics of ${name}`,
  back: (/** @type {string} */ name) => `Back to ${name}`,
  lead: "How the newest network does on pictures that it never trains on. Evaluated on this device after each iteration, as soon as it is free.",
  none: "This project has no test set, so there is nothing to evaluate. Its owner can give it one: a zip with the folders train and test, or an upload in the panel Test set.",
  noData: "This project has no pictures yet, so there is no network to evaluate.",
  fetching: "Fetching the network and the test pictures …",
  evaluating: "Evaluating …",
  evaluated: (/** @type {number} */ n, /** @type {number} */ iteration, /** @type {number} */ ms) =>
    `${plural(n, "picture", "pictures")} at iteration ${count(iteration)}, in ${count(Math.max(1, ms))}\u202fms.`,
  unknown: (/** @type {number} */ n) => ` ${plural(n, "picture of a label", "pictures of labels")} that the network does not know ${n === 1 ? "is" : "are"} left out.`,
  kept: "Kept, and shown to everyone who watches.",
  alone: "For you alone: only the owner's measurements are kept.",
  reported: (/** @type {number} */ iteration) => `As the owner measured it at iteration ${count(iteration)}.`,
  save: "Save as JSON",
  saveHint: "The same figures as mlitb evaluate --json gives",

  figures: "Figures",
  error: "Error",
  errorHint: "Share of wrong answers on the test set",
  loss: "Loss",
  lossHint: "Mean cross-entropy on the test set",
  top: (/** @type {number} */ k) => `Top ${k}`,
  topTitle: "Among the likeliest",
  topHint: "Share of pictures whose label is among the likeliest so many",

  confusion: "Confusion matrix",
  confusionHint: "Rows: what the picture shows. Columns: what the network says. The diagonal is right.",
  keys: "Use the arrow keys to move through the cells.",
  show: "Show",
  pictures: "Pictures",
  shares: "Share of the row",
  actual: "shows",
  predicted: "network says",
  cell: (/** @type {number} */ n, /** @type {string} */ label, /** @type {string} */ said, /** @type {number} */ share) =>
    label === said
      ? `${plural(n, "picture", "pictures")} of ${label} ${n === 1 ? "was" : "were"} recognised: ${percent(share)} of ${label}.`
      : `${plural(n, "picture", "pictures")} of ${label} ${n === 1 ? "was" : "were"} taken for ${said}: ${percent(share)} of ${label}.`,
  heat: (/** @type {number} */ n) => `${count(n)} by ${count(n)} cells; below are the most frequent confusions, and the whole matrix as a table.`,
  whole: "The whole matrix as a table",
  frequent: "Most frequent confusions",
  point: "Point at a cell, or move with the arrow keys, to read it.",
  spare: (/** @type {number} */ n) => `${plural(n, "answer was", "answers were")} an output that no label has.`,

  labels: "Labels",
  labelsHint: "Press a column's name to sort by it.",
  label: "Label",
  precision: "Precision",
  precisionHint: "Of the answers that name this label, the share that is right",
  recall: "Recall",
  recallHint: "Of the pictures of this label, the share that is found",
  f1: "F1",
  f1Hint: "The harmonic mean of precision and recall",
  support: "Pictures",
  takenFor: "Most taken for",
  mean: "Mean of the labels",

  worst: "Worst classified",
  worstHint: "Wrong answers, those first that give the least probability to what the picture shows.",
  noneWrong: "Every picture was classified right.",
  wrong: (/** @type {string} */ label, /** @type {string} */ said, /** @type {number} */ sure, /** @type {number} */ own) =>
    `${label}, taken for ${said} with ${percent(sure)}; ${percent(own)} for ${label}`,
  said: (/** @type {string} */ said, /** @type {number} */ sure) => `taken for ${said}, ${percent(sure)}`,
};
