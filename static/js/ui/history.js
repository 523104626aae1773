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

const REFILL_MS = 10_000; // status comes once a second: what a shorter period left out is read again, but not more often

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

/** Iterations between the last two points. @param {Point[]} points */
const gap = (points) => (points.length > 1 ? points[points.length - 1].iteration - points[points.length - 2].iteration : 0);

/** @param {Env} env @param {string} id */
export function useHistory(env, id) {
  const points = useSignal(/** @type {Point[]} */ ([]));
  const problem = useSignal("");
  const loaded = useRef(0);
  const load = () => {
    loaded.current = Date.now();
    return env.api.history(id).then(
      (found) => {
        points.value = counted(found);
        problem.value = "";
      },
      (error) => (problem.value = error.message),
    );
  };
  const open = env.live.connection.value.state === "open";
  useEffect(() => void load(), [id, open]);
  const status = env.live.status.value;
  useEffect(() => {
    if (!status || status.project !== id) return;
    const longer = extend(points.value, status, Date.now() / 1000);
    if (longer) points.value = longer;
    const left = longer ? gap(longer) > 1 && Date.now() - loaded.current > REFILL_MS : true;
    if (left) void load();
  }, [status]);
  return { points: points.value, problem: problem.value };
}

/** All points as comma-separated values, with a head line. @param {Point[]} points */
export function csvOf(points) {
  const columns = /** @type {(keyof Point)[]} */ (["iteration", "time", "error", "loss", "vectors", "power", "trainers"]);
  return [columns.join(","), ...points.map((point) => columns.map((column) => point[column] ?? "").join(","))].join("\n") + "\n";
}
