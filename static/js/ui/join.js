// The volunteer's page: what this is, what it does with the device, one big button, and always why it is not computing.
import { OnlyCharging, waits } from "./charging.js";
import { count, percent, span, wholePercent } from "./format.js";
import { Icon } from "./icons.js";
import { addWorker, Capacity, INTENSITIES, Intensity, myWorkers, shownState, Slept } from "./mine.js";
import { computing, useStateNews } from "./news.js";
import { About, Problem } from "./parts.js";
import { html, useEffect, useMemo } from "./preact.js";
import { aboutOf, Gone, useProject } from "./project.js";
import { describe, parameterCount } from "./shapes.js";
import { sentence, text } from "./text.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").Status} Status @typedef {import("./types").MyWorker} MyWorker */

const words = text.join;

/** @param {{env: Env, id: string}} props */
export function JoinPage({ env, id }) {
  const { project, status, problem } = useProject(env, id);
  const name = project?.name ?? env.named?.name ?? "";
  const mine = myWorkers(env, id).filter(({ role }) => role === "trainer");
  useEffect(() => env.title(words.title(name)), [name]);
  if (env.live.removed.value === id) return html`<${Gone} sentence=${text.removed} />`;
  if (problem && !project) return html`<${Gone} sentence=${problem} />`;
  const params = project ? parameterCount(describe(project.layers, project.labels.length || 1)) : 0;
  const auto = useAuto(env, id);
  const given = useGiven(env, id);
  const state = stateOf(env, mine, status, given.vectors);
  const why = words.status[state] + reasonOf(mine, state);
  useStateNews(env, state, computing(state) ? words.status.working : why);
  return html`
    <div class="page narrow join">
      <h1>${words.title(name)}</h1>
      <${About} about=${project?.about ?? aboutOf(env, id)} />
      <p class="lead">${status ? words.network(status.labels, params) : "\u00a0"}</p>
      <section class=${`panel join-panel ${mine.length ? "on" : ""}`} aria-label=${text.mine.title}>
        <${BigButton} env=${env} id=${id} mine=${mine} state=${state} />
        <p class="join-state" data-testid="join-state" data-state=${state}>${why}</p>
        ${auto && mine.length > 0 && html`<p class="panel-lead">${words.auto}</p>`}
        <${Slept} env=${env} />
        <${Contribution} mine=${mine} given=${given} computes=${computing(state)} status=${status} />
        <${Intensity} env=${env} mine=${mine} />
        <${Capacity} env=${env} mine=${mine} />
        <${OnlyCharging} env=${env} />
        <p class="panel-lead" data-testid="hidden-tabs">${words.hidden[env.browser]}</p>
        ${env.live.refusal.value && html`<${Problem} id="refusal" onDismiss=${() => (env.live.refusal.value = null)}>${sentence(env.live.refusal.value.reason)}<//>`}
      </section>
      <div class="join-columns">
        <section>
          <h2>${words.what}</h2>
          <ul class="ticks">
            ${words.does.map((line) => html`<li>${line}</li>`)}
          </ul>
        </section>
        <section>
          <h2>${words.never}</h2>
          <ul class="ticks">
            ${words.nevers.map((line) => html`<li>${line}</li>`)}
          </ul>
        </section>
      </div>
      <p class="join-links">
        <a href=${`/project/${encodeURIComponent(id)}`} data-testid="watch">${words.watch} <${Icon} name="arrow" /></a>
        <a href=${`/project/${encodeURIComponent(id)}/classify`} data-testid="classify">${text.classify} <${Icon} name="arrow" /></a>
      </p>
    </div>
  `;
}

/** The one thing to do next: lend, stop, or go on after a pause. @param {{env: Env, id: string, mine: MyWorker[], state: string}} props */
function BigButton({ env, id, mine, state }) {
  const lend = () => {
    env.keep("consent", "yes");
    env.said.value = text.mine.adding;
    addWorker(env, id);
  };
  const resume = () => mine.forEach(({ worker }) => env.live.tune(worker, { paused: false }));
  const stop = () => myWorkers(env, id).forEach(({ worker }) => env.live.remove(worker));
  const again = () => {
    stop();
    lend();
  };
  if (state === "failed") return html`<button type="button" class="primary big" data-testid="lend-again" onClick=${again}><${Icon} name="reboot" />${text.again}</button>`;
  if (!mine.length) return html`<button type="button" class="primary big" data-testid="add-worker" onClick=${lend}><${Icon} name="plus" />${words.add}</button>`;
  if (state === "paused") return html`<button type="button" class="primary big" data-testid="resume" onClick=${resume}><${Icon} name="play" solid />${text.mine.resume}</button>`;
  return html`<button type="button" class="big stop" data-testid="stop" onClick=${stop}><${Icon} name="close" />${words.stop}</button>`;
}

/** The project for which a page started by itself, or none: that is decided once, however often its person comes back. @type {WeakMap<Env, string>} */
const begun = new WeakMap();

/**
 * `?auto=1` starts without a click, for kiosks and lab machines, where this browser's person has agreed before;
 * `?intensity=` chooses how much.
 * @param {Env} env @param {string} id
 */
function useAuto(env, id) {
  const starts = useMemo(() => {
    if (begun.has(env)) return false;
    const agreed = env.query.get("auto") === "1" && env.recall("consent") === "yes";
    const wished = env.query.get("intensity") ?? "";
    begun.set(env, agreed ? id : "");
    if (agreed && INTENSITIES.some((known) => known.id === wished)) env.keep("intensity", wished); // before the choice is drawn
    return agreed;
  }, []);
  useEffect(() => {
    if (starts) addWorker(env, id);
  }, []);
  return begun.get(env) === id;
}

/** Why it computes or not, the first reason that holds. @param {Env} env @param {MyWorker[]} mine @param {Status | null} status @param {number} given */
function stateOf(env, mine, status, given) {
  const { state } = env.live.connection.value;
  if (state === "closed" || state === "reload") return state;
  if (!mine.length) return given ? "stopped" : "off";
  if (state === "lost" || state === "connecting") return "connection";
  const states = mine.map((worker) => shownState(env, worker));
  const shown = states.find(computing) ?? states[0];
  if (shown === "paused" && waits(env)) return "charging";
  return status?.state === "paused" ? "projectPaused" : shown;
}

/** What a volunteer can do something about: how well a device that computes is used is the owner's to change. @param {MyWorker[]} mine @param {string} state */
function reasonOf(mine, state) {
  const reason = mine.find((worker) => worker.state === state)?.reason;
  if (state === "failed") return ` ${sentence(reason ?? "")} ${words.failed}`;
  return reason && !computing(state) ? ` ${sentence(reason)}` : "";
}

/** What this page gave, and looked at again each second. @param {Env} env @param {string} id */
function useGiven(env, id) {
  useEffect(() => {
    const timer = setInterval(env.live.count, 1000);
    return () => clearInterval(timer);
  }, []);
  return env.live.given.value.get(id) ?? { vectors: 0, ms: 0 };
}

/** What this device gave so far. @param {{mine: MyWorker[], given: {vectors: number, ms: number}, computes: boolean, status: Status | null}} props */
function Contribution({ mine, given, computes, status }) {
  const share = computes && status?.vectors ? Math.min(1, mine.reduce((sum, worker) => sum + worker.count, 0) / status.vectors) : 0;
  const figures = [
    [words.contributed, count(given.vectors), text.stat.dataUnit],
    [words.share, wholePercent(share), ""],
    [words.time, span(given.ms / 1000), ""],
    [words.error, percent(status?.error ?? -1), ""],
  ];
  return html`
    <dl class="join-figures">
      ${figures.map(([name, value, unit]) => html`<div><dt>${name}</dt><dd>${value}${unit && html`<span class="unit">${unit}</span>`}</dd></div>`)}
    </dl>
    <p class="thanks">${given.vectors ? words.thanks : words.others(Math.max(0, (status?.trainers ?? 0) - mine.length))}</p>
  `;
}
