// What a server is asked for, and asked again; and which projects have which names.
import { useEffect, useSignal } from "../preact.js";

/** @typedef {import("../types").Env} Env */

/** @template Found @param {() => Promise<Found>} ask @param {unknown[]} keys asked again when one of them changes */
export function useAsked(ask, keys) {
  const found = useSignal(/** @type {Found | null} */ (null));
  const problem = useSignal("");
  const load = () =>
    ask().then(
      (answer) => {
        found.value = answer;
        problem.value = "";
      },
      (error) => void (problem.value = error.message),
    );
  useEffect(() => void load(), keys);
  return { found: found.value, problem: problem.value, load };
}

/** The names of projects by their ids; empty until they are known. @param {Env} env */
export function useProjectNames(env) {
  const { found } = useAsked(() => env.api.projects(), []);
  return new Map((found ?? []).map(({ id, name }) => [id, name]));
}
