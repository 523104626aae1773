// Answers about many pictures as a table: the columns of `mlitb predict --csv`, so that both can be read by the same script. Pure.
import { quoted } from "../figures.js";
import { words } from "./text.js";

/** @typedef {{name: string, iteration: number, probabilities: Float32Array}} Row */

const DIGITS = 6;

/** A number as C's %.6g writes it. @param {number} value */
export function sixDigits(value) {
  const [digits, exponent] = value.toExponential(DIGITS - 1).split("e");
  if (Number(exponent) >= -4 && Number(exponent) < DIGITS) return String(Number(value.toPrecision(DIGITS)));
  return `${Number(digits)}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
}

/** Name the outputs: the labels, and what a network of fixed size has to spare. @param {string[]} labels @param {number} outputs */
export const namesOf = (labels, outputs) => [...labels, ...Array.from({ length: Math.max(0, outputs - labels.length) }, (_, i) => words.spare(labels.length + i))];

/** The output that is most probable, of equal ones the first. @param {Float32Array} probabilities */
export const bestOf = (probabilities) => probabilities.reduce((best, value, i) => (value > probabilities[best] ? i : best), 0);

/**
 * Comma-separated values with a head line; where the network grew in between, earlier pictures have no value for what was new.
 * @param {Row[]} rows @param {string[]} labels the newest
 */
export function tableOf(rows, labels) {
  const names = namesOf(labels, Math.max(0, ...rows.map(({ probabilities }) => probabilities.length)));
  const lines = rows.map(({ name, probabilities }) => {
    const best = bestOf(probabilities);
    return [quoted(name), quoted(names[best]), sixDigits(probabilities[best]), ...names.map((_, i) => (i < probabilities.length ? sixDigits(probabilities[i]) : ""))];
  });
  return [["picture", "label", "probability", ...names.map(quoted)], ...lines].map((cells) => cells.join(",")).join("\n") + "\n";
}

/** How many pictures were taken for each label, most first. @param {Row[]} rows @param {string[]} labels @returns {[string, number][]} */
export function countsOf(rows, labels) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { probabilities } of rows) {
    const name = namesOf(labels, probabilities.length)[bestOf(probabilities)];
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]);
}
