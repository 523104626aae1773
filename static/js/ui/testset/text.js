// The words of the test set panel, beside ../text.js, which holds what every page says.
import { count, plural } from "../format.js";

export const words = {
  title: "Test set",
  count: (/** @type {number} */ n, /** @type {number} */ labels) => `${plural(n, "picture", "pictures")}, ${plural(labels, "label", "labels")}`,
  part: /** @type {Record<string, string>} */ ({
    test: "The test folder of its data. Nobody trains on these pictures, so their error shows what the network has understood.",
    validation: "The validation split of its data. Nobody trains on these pictures, so their error shows what the network has understood.",
    upload: "An upload of its own. Nobody trains on these pictures, so their error shows what the network has understood.",
    none: "There is none, so nobody can tell whether the network learns by heart. A zip with the folders train and test brings one, or upload one here.",
  }),
  unknown: (/** @type {number} */ n, /** @type {string[]} */ labels) =>
    `${plural(n, "picture is", "pictures are")} left out: the network does not know the ${labels.length === 1 ? "label" : "labels"} ${labels.slice(0, 5).join(", ")}${labels.length > 5 ? " …" : ""}.`,
  error: "Test error",
  loss: "Test loss",
  best: "Lowest error",
  at: (/** @type {number} */ n) => `iteration ${count(n)}`,
  stalled: (/** @type {number} */ since, /** @type {string} */ error, /** @type {number} */ at) =>
    `The test error has not fallen for ${plural(since, "iteration", "iterations")}: its lowest was ${error} at iteration ${count(at)}. More of the same will hardly help. Go back to the best checkpoint, lower the learning rate, or add pictures.`,
  measure: "Measure test error",
  stop: "Stop measuring",
  statistics: "Statistics",
  starting: "Starting to measure the test error …",
  mine: (/** @type {number} */ n) => `This page measures after each iteration, as soon as it is free${n > 0 ? `; now at ${count(n)}` : ""}. Training does not wait for it.`,
  mineAlone: "This page evaluates for you alone: only the owner's measurements are kept.",
  others: "It is measured by another browser or worker of the owner's.",
  nobody: "Nobody measures now. It needs one core of this device, and begins by itself with your first worker.",
  nobodyVisitor: "The curve shows what the owner's browsers measured. The statistics page evaluates the newest network on your device.",
  change: "Change the test set",
  from: "Test on",
  choice: /** @type {Record<string, string>} */ ({
    auto: "What the data holds back",
    test: "Its test folder",
    validation: "Its validation split",
    none: "Nothing",
    upload: "An upload of its own",
  }),
  drop: "Drop a zip of test pictures here",
  how: "One folder per label, as for training. Of a zip with a test folder only that is taken.",
};
