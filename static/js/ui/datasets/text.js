// The words of the pages about data sets, beside ../text.js because they come with them.
import { bytes, count, plural } from "../format.js";

/** @param {string[]} names */
const and = (names) => (names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`);
/** @typedef {{width: number, height: number, channels: number}} Size */
/** @param {Size} size */
const size = ({ width, height, channels }) => `${width}\u00a0×\u00a0${height} ${channels === 1 ? "grey" : "colour"}`;

export const words = {
  title: "Data sets",
  lead: "The pictures that projects learn from. Each data set is kept as it was uploaded, and cut to the size that a network takes.",
  empty: "No data set yet",
  emptyOwner: "Upload a zip of picture folders, one folder for each label. A project can use it at once, or later.",
  emptyVisitor: "The owner of this server can upload one.",
  add: "Upload a data set",
  uploadNote: "It becomes pictures of the size below; other sizes can be cut from it later.",
  open: (/** @type {string} */ name) => `Open ${name}`,
  all: "All data sets",

  pictures: "Pictures",
  labels: "Labels",
  size: "Size",
  version: "Version",
  bytes,
  summary: (/** @type {number} */ images, /** @type {number} */ labels, /** @type {number} */ n, /** @type {number} */ version) =>
    `${plural(images, "picture", "pictures")} in ${plural(labels, "label", "labels")}, ${bytes(n)}. Version ${count(version)}.`,
  created: (/** @type {string} */ ago) => `Uploaded ${ago}.`,
  usedBy: "Used by",
  unused: "Used by no project.",
  gone: (/** @type {string} */ id) => `${id} (removed)`,
  strip: (/** @type {string} */ label) => `Some pictures of ${label}`,

  download: "Download as zip",
  rename: "Rename",
  renameTitle: (/** @type {string} */ name) => `Rename ${name}`,
  nameLabel: "Name",
  nameMissing: "Give the data set a name.",
  renamed: (/** @type {string} */ name) => `It is called ${name} now.`,
  save: "Save",
  delete: "Delete",
  deleteUsed: (/** @type {string[]} */ names) => `${and(names)} ${names.length === 1 ? "uses" : "use"} it: a data set can be deleted when no project uses it.`,
  deleteTitle: (/** @type {string} */ name) => `Delete ${name}?`,
  deleteText: (/** @type {number} */ images, /** @type {number} */ labels, /** @type {number} */ n, /** @type {number} */ cuts) =>
    `${plural(images, "picture", "pictures")} in ${plural(labels, "label", "labels")} (${bytes(n)}) and ${plural(cuts, "cut", "cuts")} will be lost, in all versions. Download it first if you want to keep it: this cannot be undone.`,
  deleteYes: "Delete for good",
  deleted: (/** @type {string} */ name) => `${name} was deleted.`,

  labelsLead: "Change a name here. Two labels with the same name become one.",
  labelName: (/** @type {string} */ name) => `Name of the label ${name}`,
  nameOf: "Label",
  set: { train: "Training", validation: "Validation", test: "Test" },
  emptyLabel: "Every label needs a name.",
  saveLabels: (/** @type {number} */ version) => `Save as version ${count(version)}`,
  saving: "Saving …",
  undo: "Undo the changes",
  savedLabels: (/** @type {number} */ version) => `This is version ${count(version)} now.`,
  becomes: (/** @type {string} */ old, /** @type {string} */ name) => `${old} becomes ${name}.`,
  merged: (/** @type {string[]} */ old, /** @type {string} */ name) => `${and(old)} become one label, ${name}.`,
  versionNote: "Projects that use the data set keep the version that they began with.",

  cuts: "Cuts",
  cutsLead: "The pictures as networks get them.",
  cut: { size: "Pictures", mode: "Made to fit", train: "Training", held: "Held back", mean: "Mean", std: "Deviation", seed: "Seed" },
  sizeOf: size,
  pixelNote: "Mean and standard deviation of the training pixels, as 0 to 1, for each channel.",
  modes: /** @type {Record<string, string>} */ ({ crop: "cropped", fit: "with a border", stretch: "stretched" }),
  again: "Cut again",
  againNote: "For networks that take other pictures. The uploaded pictures are read again.",
  doCut: "Cut",
  waiting: (/** @type {number} */ ahead) => `${plural(ahead, "upload or cut is", "uploads or cuts are")} done before it; then it is its turn.`,
  cutting: "Cutting: every picture is read and scaled …",
  cutDone: (/** @type {Size} */ of) => `There is a cut of ${size(of)} pixels now.`,
  cutKnown: "It has this cut already.",
  sizeWrong: (/** @type {number} */ most) => `Width and height are whole numbers from 1 to ${most}.`,
  mode: "How they are made to fit",
  validation: "Held back to validate",
  validationHint: "Of each label; never trained on.",
  shares: /** @type {Record<string, string>} */ ({ "": "nothing", 0.1: "10 %", 0.2: "20 %", 0.3: "30 %" }),
  duplicates: "Equal files",
  duplicateChoices: /** @type {Record<string, string>} */ ({ keep: "keep all", drop: "keep one" }),

  uses: "Projects",
  left: "Left out",
  leftNone: "Every file of the zip was used.",
  leftTotal: (/** @type {number} */ n) => `${plural(n, "file was", "files were")} left out:`,
  leftFiles: (/** @type {number} */ shown, /** @type {number} */ total) => (shown < total ? `The first ${count(shown)} of ${count(total)} files` : "The files"),
  duplicatesFound: (/** @type {number} */ n) => `${plural(n, "file has", "files have")} the bytes of another.`,
  times: (/** @type {number} */ n) => `${count(n)} ×`,
};
