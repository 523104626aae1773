// After an upgrade of the server an old tab loads itself again, unless its user is in the middle of something, and goes on
// lending what it lent. What must be known after that is carried by the tab alone: another tab has its own.
import { addWorker } from "./mine.js";
import { useEffect, useRef } from "./preact.js";

/** @typedef {import("./types").Env} Env */

const NOT_AGAIN_MS = 60_000; // a page that is still the old one after that is a cache's fault: its user must decide
const LOOK_MS = 2000; // with as much again by chance, so that a thousand tabs do not come in the same moment

/** @param {Env} env */
export function useUpgrade(env) {
  const { state } = env.live.connection.value;
  const { id } = env.route.value;
  const lent = useRef(0);
  if (state === "open") lent.current = env.live.workers.value.filter((worker) => worker.project === id).length;
  useEffect(() => {
    if (state !== "reload" || Date.now() - Number(env.carried("loaded-again")) < NOT_AGAIN_MS) return;
    const timer = setInterval(() => {
      if (env.busy()) return;
      env.carry("loaded-again", String(Date.now()));
      env.carry("lent", `${lent.current} ${id}`);
      env.reload();
    }, LOOK_MS * (1 + Math.random()));
    return () => clearInterval(timer);
  }, [state]);
  useEffect(() => {
    if (state !== "open") return;
    const [count, project] = env.carried("lent").split(" ");
    env.carry("lent", "");
    if (project && project === id) for (let i = 0; i < Number(count); i += 1) addWorker(env, id);
  }, [state]);
}
