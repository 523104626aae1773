// Pictures on their way into the training: gathered, zipped as label folders, sent, admitted at the close of an iteration.
// - One request at a time; what gathers meanwhile is the next batch. Nothing is lost by a failure: it waits for another try.
// - A picture trains once the project's vectors have reached the number that the server promised.
import { useEffect, useRef, useSignal } from "../preact.js";
import { zipSync } from "./pack.js";
import { words } from "./text.js";

/** @typedef {import("../types").Env} Env @typedef {import("../types").Status} Status */
/** @typedef {{label: string, file: Blob, number: number}} Example the number tells it from equal ones */
/** @typedef {{label: string, added: number, goal: number, since: number}} Taught `since`: the iteration since which all of them train, -1 before */
/** @typedef {{waiting: Example[], sending: Example[], taught: Taught[], problem: string, note: string}} State */

const MOST_PICTURES = 50;
const MOST_BYTES = 16_000_000; // of a batch: a phone's uplink needs some seconds for it
const PATIENCE_MS = 2000; // the server takes so much from one address and no more
const ZIP_DATE = "1980-01-01T00:00:00"; // the same pictures are the same zip

/** Make a label of what was typed. @param {string} typed */
export const cleaned = (typed) => typed.normalize("NFC").trim().replace(/\s+/g, " ");

/** What is wrong with a label, or nothing. @param {string} label */
export function labelProblem(label) {
  if (!label) return words.labelMissing;
  const fits = new TextEncoder().encode(label).length <= 200 && !/[/\\\0]/.test(label) && !label.startsWith(".");
  return fits ? "" : words.labelWrong;
}

/** @param {Example[]} examples @returns {number} how many go into one batch */
function batchOf(examples) {
  let [n, size] = [0, 0];
  while (n < Math.min(examples.length, MOST_PICTURES) && (n === 0 || size + examples[n].file.size <= MOST_BYTES)) size += examples[n++].file.size;
  return n;
}

/** A zip of label folders. @param {Example[]} batch */
async function zipped(batch) {
  const bytes = await Promise.all(batch.map(({ file }) => file.arrayBuffer()));
  return zipSync(Object.fromEntries(batch.map((example, i) => [nameOf(example), new Uint8Array(bytes[i])])), { level: 0, mtime: ZIP_DATE });
}

/** @param {Example} example */
const nameOf = ({ label, number }) => `${label}/${number}`;

/** Count a batch that arrived. @param {Taught[]} taught @param {Example[]} added @param {number} goal @returns {Taught[]} */
export function counted(taught, added, goal) {
  const rows = new Map(taught.map((row) => [row.label, row]));
  for (const { label } of added) rows.set(label, { label, added: (rows.get(label)?.added ?? 0) + 1, goal, since: -1 });
  return [...rows.values()];
}

/** Note what trains by now. @param {Taught[]} taught @param {Status} status */
export const admitted = (taught, { data_vectors: vectors, iteration }) => taught.map((row) => (row.since < 0 && vectors >= row.goal ? { ...row, since: iteration } : row));

/** @param {{env: Env, id: string, pause: (ms: number) => Promise<void>}} around */
export function useTeaching({ env, id, pause }) {
  const state = useSignal(/** @type {State} */ ({ waiting: [], sending: [], taught: [], problem: "", note: "" }));
  const here = useRef(true);
  const numbers = useRef(Date.now()); // another visit's are others
  const known = useRef(/** @type {WeakMap<Blob, Set<string>>} */ (new WeakMap()));
  const set = (/** @type {Partial<State>} */ change) => (state.value = { ...state.value, ...change });
  useEffect(() => () => void (here.current = false), []);
  const status = env.live.status.value;
  useEffect(() => {
    if (status?.project === id && state.value.taught.some(({ since }) => since < 0)) set({ taught: admitted(state.value.taught, status) });
  }, [status, state.value.taught]);

  /** @param {Example[]} batch @returns {Promise<import("../types").TaughtAnswer>} */
  const send = async (batch) => {
    try {
      return await env.api.teach(id, await zipped(batch));
    } catch (error) {
      if (/** @type {import("../api.js").Problem} */ (error).status !== 429) throw error;
      await pause(PATIENCE_MS);
      return send(batch);
    }
  };
  const pump = async () => {
    while (here.current && state.value.waiting.length && !state.value.sending.length) {
      const n = batchOf(state.value.waiting);
      const batch = state.value.waiting.slice(0, n);
      set({ sending: batch, waiting: state.value.waiting.slice(n), problem: "" });
      try {
        const told = await send(batch);
        const bad = new Set(told.left_out.map(({ name }) => name));
        const added = batch.filter((example) => !bad.has(nameOf(example))); // also when an earlier try had arrived
        set({ sending: [], taught: counted(state.value.taught, added, told.data_vectors), note: noteOf(told) || state.value.note });
        env.said.value = words.added(added.length);
      } catch (error) {
        set({ sending: [], waiting: [...batch, ...state.value.waiting], problem: /** @type {Error} */ (error).message });
        return;
      }
    }
  };
  return {
    state: state.value,
    /** @param {string} label cleaned and without a problem @param {Blob[]} files */
    add(label, files) {
      const fresh = files.filter((file) => !known.current.get(file)?.has(label));
      for (const file of fresh) known.current.set(file, new Set([...(known.current.get(file) ?? []), label]));
      const more = fresh.map((file) => ({ label, file, number: ++numbers.current }));
      set({ waiting: [...state.value.waiting, ...more], note: fresh.length < files.length ? words.knownAlready : "" });
      if (!state.value.problem) void pump();
    },
    again: () => void pump(),
    discard() {
      for (const { file, label } of state.value.waiting) known.current.get(file)?.delete(label);
      set({ waiting: [], problem: "" });
    },
  };
}

/** @typedef {ReturnType<typeof useTeaching>} Teaching */

/** @param {import("../types").TaughtAnswer} told */
const noteOf = ({ left_out: leftOut }) => (leftOut.length ? words.leftOut(leftOut.length, leftOut[0].reason) : "");
