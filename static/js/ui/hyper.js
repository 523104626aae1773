// The hyper-parameters of a project: which there are, in which group, when each is of use, and how they are read. Pure.
import { groups, hyper as said } from "./training/text.js";
import { text } from "./text.js";

/**
 * @typedef {object} Hyper
 * @property {string} key as the server calls it
 * @property {keyof typeof groups} group
 * @property {"number" | "choice" | "switch"} kind
 * @property {number | string | boolean} value the default; "" of a number: the server chooses
 * @property {(string | number)[]} [choices]
 * @property {number} [min]
 * @property {number} [max]
 * @property {{key: string, among: string[]}} [when] shown only where another has one of these values
 * @property {string} label
 * @property {string} hint
 */

/** @param {...string} among */
const optimizer = (...among) => ({ key: "optimizer", among });
const local = { key: "local_steps", among: ["true"] };

/** @type {Omit<Hyper, "label" | "hint">[]} */
const KNOWN = [
  { key: "learning_rate", group: "step", kind: "number", value: 0.01, min: 0 },
  { key: "optimizer", group: "step", kind: "choice", choices: ["adagrad", "sgd", "nesterov", "rmsprop", "adam"], value: "adagrad" },
  { key: "momentum", group: "step", kind: "number", value: 0, min: 0, max: 0.99999, when: optimizer("sgd", "nesterov", "rmsprop") },
  { key: "rho", group: "step", kind: "number", value: 0.99, min: 0, max: 0.99999, when: optimizer("rmsprop") },
  { key: "beta1", group: "step", kind: "number", value: 0.9, min: 0, max: 0.99999, when: optimizer("adam") },
  { key: "beta2", group: "step", kind: "number", value: 0.999, min: 0, max: 0.9999999, when: optimizer("adam") },
  { key: "epsilon", group: "step", kind: "number", value: 1e-8, min: 0, when: optimizer("adagrad", "rmsprop", "adam") },
  { key: "clip", group: "step", kind: "number", value: 0, min: 0 },
  { key: "l2", group: "decay", kind: "number", value: 0, min: 0 },
  { key: "l1", group: "decay", kind: "number", value: 0, min: 0 },
  { key: "warmup", group: "decay", kind: "number", value: 0, min: 0 },
  { key: "decay_interval", group: "decay", kind: "number", value: 0, min: 0 },
  { key: "decay", group: "decay", kind: "number", value: 1, min: 0, max: 1 },
  { key: "decay_floor", group: "decay", kind: "number", value: 0, min: 0 },
  { key: "vectors", group: "iteration", kind: "number", value: 0, min: 0 },
  { key: "grace", group: "iteration", kind: "number", value: 0, min: 0, max: 60 },
  { key: "seed", group: "iteration", kind: "number", value: "", min: 0 },
  { key: "close_when_saturated", group: "iteration", kind: "switch", value: false },
  { key: "local_steps", group: "local", kind: "switch", value: false },
  { key: "local_rate", group: "local", kind: "number", value: 0.01, min: 0, max: 10, when: local },
  { key: "local_momentum", group: "local", kind: "number", value: 0.9, min: 0, max: 0.99999, when: local },
  { key: "local_batch", group: "local", kind: "choice", choices: [1, 4, 16], value: 16, when: local },
];

// What local steps are reduced with: plain averaging of the differences, which is SGD with rate 1.
const AVERAGED = { optimizer: "sgd", learning_rate: "1", momentum: "0" };
const USUAL = { optimizer: "adagrad", learning_rate: "0.01", momentum: "0" };

/**
 * The values after one of them was changed: local steps bring their optimizer along, and take it away again if it is still that.
 * @param {Record<string, string>} values @param {string} key @param {string} value
 */
export function changedBy(values, key, value) {
  const changed = { ...values, [key]: value };
  if (key !== "local_steps") return changed;
  if (value === "true") return { ...changed, ...AVERAGED };
  const averaged = Object.entries(AVERAGED).every(([name, wanted]) => Number(values[name]) === Number(wanted) || values[name] === wanted);
  return averaged ? { ...changed, ...USUAL } : changed;
}

/** @param {Omit<Hyper, "label" | "hint">} known @returns {Hyper} */
const explained = (known) => ({ ...known, label: said[known.key][0], hint: said[known.key][1] });

/** What a new project is asked for, besides its period. */
export const HYPER = KNOWN.map(explained);

/** What only a running project's owner is asked for. @type {Hyper[]} */
export const OWN = [
  explained({ key: "period", group: "iteration", kind: "number", value: 4, min: 0.2, max: 60 }),
  { key: "volunteers_teach", group: "more", kind: "switch", value: false, label: text.settings.teaching, hint: text.settings.teachingHint },
];

/** Whether a hyper-parameter is of use with these values. @param {Hyper} hyper @param {Record<string, string>} values */
export const isOfUse = ({ when }, values) => !when || when.among.includes(values[when.key]);

/** @param {Hyper} hyper @param {string} typed */
function read({ kind, choices }, typed) {
  if (kind === "switch") return typed === "true";
  return kind === "number" || typeof choices?.[0] === "number" ? Number(typed) : typed;
}

/**
 * Read typed values: those that differ from `before`, or a sentence about the first that is no number.
 * @param {Record<string, string>} values @param {Record<string, unknown>} before
 */
export function readHyper(values, before) {
  /** @type {Record<string, number | string | boolean>} */
  const changed = {};
  for (const hyper of [...OWN, ...HYPER]) {
    const { key, label, kind } = hyper;
    if (!(key in values) || String(before[key] ?? "") === values[key]) continue;
    const value = read(hyper, values[key]);
    if (kind === "number" && (values[key].trim() === "" || !Number.isFinite(value))) return { changed, problem: text.settings.number(label) };
    changed[key] = value;
  }
  return { changed, problem: "" };
}
