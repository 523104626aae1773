// What is read out of workers: that they begin to compute or end, not each turn of an iteration.
import { useEffect, useRef } from "./preact.js";
import { text } from "./text.js";

/** @typedef {import("./types").Env} Env @typedef {{id: number, name: string, state: string}} Named */

const COMPUTING = ["ready", "working", "saturated"]; // a worker goes round these once an iteration
const STARTING = ["starting", "waiting", "joining"];

/** Whether a worker in this state computes in each iteration. @param {string} state */
export const computing = (state) => COMPUTING.includes(state);

/** States that are one to who listens. @param {string} state */
const kindOf = (state) => (computing(state) ? "computing" : STARTING.includes(state) ? "starting" : state);

/** Whether that is news: what comes between a start and the first iteration is not. @param {string} before @param {string} now */
const isNews = (before, now) => kindOf(before) !== kindOf(now) && (kindOf(now) !== "starting" || computing(before));

/** Read out a sentence when its state becomes one of another kind. @param {Env} env @param {string} state @param {string} sentence */
export function useStateNews(env, state, sentence) {
  const known = useRef(state); // what a page begins with is read with it
  useEffect(() => {
    if (isNews(known.current, state)) env.said.value = sentence;
    known.current = state;
  }, [kindOf(state)]);
}

/** Read out what becomes of several workers, those of one kind together. @param {Env} env @param {Named[]} workers */
export function useNews(env, workers) {
  const known = useRef(/** @type {Map<number, Named>} */ (new Map()));
  useEffect(() => {
    /** @type {Map<string, string[]>} */
    const news = new Map();
    const tell = (/** @type {Named} */ { name }, /** @type {string} */ state) => news.set(state, [...(news.get(state) ?? []), name]);
    for (const worker of workers) {
      const before = known.current.get(worker.id);
      if (before && isNews(before.state, worker.state)) tell(worker, text.worker[computing(worker.state) ? "working" : worker.state] ?? worker.state);
    }
    const here = new Map(workers.map((worker) => [worker.id, worker]));
    for (const before of known.current.values()) if (!here.has(before.id)) tell(before, text.mine.removed);
    known.current = here;
    if (news.size) env.said.value = [...news].map(([state, names]) => text.mine.news(names, state)).join(" ");
  }, [workers.map(({ id, state }) => `${id} ${kindOf(state)}`).join()]);
}
