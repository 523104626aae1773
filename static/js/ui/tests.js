// How a project does on its test set: the evaluations from the server, appended from live status, and what follows from them.
import { useEffect, useRef, useSignal } from "./preact.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").Point} Point @typedef {import("./types").Evaluation} Evaluation @typedef {import("./types").Status} Status */

const PATIENCE = 20; // evaluations without a new lowest error, before anything is said
const PATIENCE_SHARE = 1 / 3; // and of all iterations that were tested: late in a long training news are rarer

/** @param {Point[]} points @param {Evaluation[]} tests @returns {Point[]} the points with the tests between them: an evaluation stands at the iterations done before it */
export function withTests(points, tests) {
  if (!tests.length) return points;
  const all = new Map(points.map((point) => [point.iteration, point]));
  for (const { iteration, time, error, loss } of tests) {
    const point = all.get(iteration) ?? { iteration, time, error: -1, loss: -1, vectors: 0, power: -1, trainers: 0 };
    all.set(iteration, { ...point, test_error: error, test_loss: loss });
  }
  return [...all.values()].sort((a, b) => a.iteration - b.iteration);
}

/** The evaluation with the lowest error, the first of several. @param {Evaluation[]} tests @returns {Evaluation | undefined} */
export const bestOf = (tests) => tests.reduce((best, test) => (best && best.error <= test.error ? best : test), /** @type {Evaluation | undefined} */ (undefined));

/**
 * Whether the test error has stopped falling: its lowest lies PATIENCE evaluations and a PATIENCE_SHARE of the tested iterations back.
 * @param {Evaluation[]} tests @returns {{best: Evaluation, since: number} | null} `since` in iterations
 */
export function stalled(tests) {
  const best = bestOf(tests);
  if (!best || best.error === 0) return null; // it cannot fall further
  const [first, last] = [tests[0], tests[tests.length - 1]];
  const since = last.iteration - best.iteration;
  const later = tests.filter(({ iteration }) => iteration > best.iteration).length;
  return later >= PATIENCE && since >= PATIENCE_SHARE * (last.iteration - first.iteration) ? { best, since } : null;
}

/** The tests with what this status tells; the same list when it tells nothing new. @param {Evaluation[]} tests @param {Status} status @param {number} time */
export function extendTests(tests, status, time) {
  const { test_iteration: iteration, test_error: error, test_loss: loss, test_vectors: count } = status;
  if (iteration < 0 || (tests.length && iteration <= tests[tests.length - 1].iteration)) return tests;
  return [...tests, { iteration, time, error, loss, count }];
}

/** Whether a status contradicts what is known: another test set, a reboot, a way back. @param {Status | null} before @param {Status} status */
const begunAnew = (before, status) =>
  before !== null && before.project === status.project && (status.test_vectors !== before.test_vectors || status.test_iteration < before.test_iteration);

/** @param {Env} env @param {string} id */
export function useTests(env, id) {
  const tests = useSignal(/** @type {Evaluation[]} */ ([]));
  const problem = useSignal("");
  const before = useRef(/** @type {Status | null} */ (null));
  const load = () =>
    env.api.tests(id).then(
      (found) => {
        tests.value = found;
        problem.value = "";
      },
      (error) => (problem.value = error.message),
    );
  const open = env.live.connection.value.state === "open";
  useEffect(() => void load(), [id, open]);
  const status = env.live.status.value;
  useEffect(() => {
    if (!status || status.project !== id) return;
    if (begunAnew(before.current, status)) void load();
    else tests.value = extendTests(tests.value, status, Date.now() / 1000);
    before.current = status;
  }, [status]);
  return { tests: tests.value, problem: problem.value, load };
}
