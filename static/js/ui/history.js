// A project's figures, iteration by iteration: from the server on load, appended from live status.
import { useEffect, useRef, useSignal } from "./preact.js";

/** @typedef {import("./types").Point} Point @typedef {import("./types").Env} Env @typedef {import("./types").Status} Status */

/** @param {Status} status @param {number} time in seconds @returns {Point} */
const pointOf = (status, time) => ({
  iteration: status.iteration,
  time,
  error: status.error,
  loss: status.loss,
  vectors: status.vectors,
  power: status.power,
  trainers: status.trainers,
});

const REFILL_MS = 5_000; // status comes once a second and has not every figure: what is new is read from the history at most so often

/**
 * The history numbers iterations from 0, people see how many are done: the figures of iteration 0 stand at 1, as in Status.
 * @param {Point[]} history @returns {Point[]}
 */
export const counted = (history) => history.map((point) => ({ ...point, iteration: point.iteration + 1 }));

/**
 * The points with this status appended; the same list when it says nothing new, null when it contradicts them
 * (no error although there are points: the project was rebooted, so the history must be read again).
 * @param {Point[]} points @param {Status} status @param {number} time
 */
export function extend(points, status, time) {
  const last = points.length ? points[points.length - 1].iteration : 0;
  if (status.iteration < last || (status.error < 0 && last > 0)) return null;
  if (status.iteration === last || status.error < 0) return points;
  return [...points, pointOf(status, time)];
}

/** The points up to an iteration, then those that were read from the history. @param {Point[]} points @param {number} upto @param {Point[]} read @returns {Point[]} */
export function filled(points, upto, read) {
  const last = read.length ? read[read.length - 1].iteration : upto;
  return [...points.filter(({ iteration }) => iteration <= upto), ...read, ...points.filter(({ iteration }) => iteration > last)];
}

/**
 * For how long a project has been training, in seconds; pauses do not count. A point stands for itself and for those left
 * out before it; one that is new has no length of its own yet, and is taken to be as long as the period.
 * @param {Point[]} points @param {number} period in seconds
 */
export function trainedFor(points, period) {
  return points.reduce((sum, { iteration, seconds = period }, at) => sum + seconds * (at ? iteration - points[at - 1].iteration : 1), 0);
}

/** @param {Env} env @param {string} id */
export function useHistory(env, id) {
  const points = useSignal(/** @type {Point[]} */ ([]));
  const problem = useSignal("");
  const read = useRef({ at: 0, upto: 0 }); // when, and the last iteration that the history gave
  const load = (/** @type {number} */ upto) => {
    read.current.at = Date.now();
    return env.api.history(id, upto - 1).then(
      (found) => {
        points.value = upto ? filled(points.value, upto, counted(found)) : counted(found);
        read.current.upto = found.length ? found[found.length - 1].iteration + 1 : upto;
        problem.value = "";
      },
      (error) => (problem.value = error.message),
    );
  };
  const open = env.live.connection.value.state === "open";
  useEffect(() => void load(0), [id, open]);
  const status = env.live.status.value;
  useEffect(() => {
    if (!status || status.project !== id) return;
    const longer = extend(points.value, status, Date.now() / 1000);
    if (longer) points.value = longer;
    const behind = !!longer?.length && longer[longer.length - 1].iteration > read.current.upto && Date.now() - read.current.at > REFILL_MS;
    if (!longer || behind) void load(longer ? read.current.upto : 0);
  }, [status]);
  return { points: points.value, problem: problem.value };
}

/** All points as comma-separated values, with a head line. @param {Point[]} points */
export function csvOf(points) {
  const columns = /** @type {(keyof Point)[]} */ (["iteration", "time", "error", "loss", "test_error", "test_loss", "vectors", "power", "trainers", "efficiency", "learning_rate", "latency_ms", "bytes_in", "bytes_out"]);
  return [columns.join(","), ...points.map((point) => columns.map((column) => point[column] ?? "").join(","))].join("\n") + "\n";
}
