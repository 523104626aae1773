// The workers of this page: one big button to add one, and a row for each with what it does and gives.
import { waits } from "./charging.js";
import { bytes, count } from "./format.js";
import { Icon } from "./icons.js";
import { LendMore } from "./lend.js";
import { Hint, Problem } from "./parts.js";
import { computing, useNews } from "./news.js";
import { html, useEffect, useSignal } from "./preact.js";
import { sentence, text } from "./text.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").MyWorker} MyWorker */

const words = text.mine;

/** How much a worker may hold at once: 3,000 vectors and 100 MB unless its person says otherwise. */
const CAPACITIES = [
  { id: "small", gift: { capacityVectors: 1000, capacityBytes: 30_000_000 } },
  { id: "usual", gift: { capacityVectors: 3000, capacityBytes: 100_000_000 } },
  { id: "large", gift: { capacityVectors: 30_000, capacityBytes: 1_000_000_000 } },
].map((one) => ({ ...one, label: count(one.gift.capacityVectors), hint: words.capacityHint(one.gift.capacityVectors, one.gift.capacityBytes) }));

export const INTENSITIES = [
  { id: "gentle", share: 0.3, label: words.gentle, hint: words.gentleHint },
  { id: "balanced", share: 0.6, label: words.balanced, hint: words.balancedHint },
  { id: "full", share: 1, label: words.full, hint: words.fullHint },
];

/** How much this browser may keep of pictures; the middle one unless told. */
export const QUOTAS = [100_000_000, 500_000_000, 2_000_000_000].map((size) => ({ id: String(size), bytes: size, label: bytes(size), hint: words.quotaHint }));

/** What was last chosen in this browser. @param {Env} env */
export const chosenQuota = (env) => QUOTAS.find(({ id }) => id === env.recall("quota")) ?? QUOTAS[1];

/** The intensity last chosen on this device; phones begin gently. @param {Env} env */
export const chosenIntensity = (env) => INTENSITIES.find(({ id }) => id === env.recall("intensity")) ?? INTENSITIES[env.phone ? 0 : 2];

/** @param {Env} env */
const chosenCapacity = (env) => CAPACITIES.find(({ id }) => id === env.recall("capacity")) ?? CAPACITIES[1];

/** @param {Env} env @param {string} project */
export const addWorker = (env, project) => env.live.add(project, { ...chosenCapacity(env).gift, intensity: chosenIntensity(env).share });

/** @param {Env} env @param {string} project */
export const myWorkers = (env, project) => env.live.workers.value.filter((worker) => worker.project === project);

/**
 * The state that people see. Their own pause is known here before the server says it; and who computes in each iteration
 * computes, although it rests for a moment between two of them.
 * @param {Env} env @param {MyWorker} worker
 */
export function shownState(env, worker) {
  const { state, early } = worker;
  if (state === "failed") return state;
  if (env.live.paused.value.has(worker.worker)) return "paused";
  if (!computing(state)) return state;
  if (!goesOn(env, worker.project)) return state === "saturated" ? "ready" : state;
  const begun = worker.role === "trainer" ? worker.total > 0 : worker.iteration > 0;
  if (state === "ready" && begun && leftOut(env, worker)) return "turn";
  return state === "ready" && !begun ? state : early ? "saturated" : "working";
}

/** Whether iterations go by without this trainer; the rows of the boss may be a second old. @param {Env} env @param {MyWorker} worker */
function leftOut(env, { role, project, iteration }) {
  const status = env.live.status.value;
  return role === "trainer" && status?.project === project && status.iteration - iteration > 1 + Math.ceil(1 / status.period);
}

/** Whether iterations follow one another, as far as this page knows. @param {Env} env @param {string} project */
function goesOn(env, project) {
  const status = env.live.status.value;
  return env.live.connection.value.state === "open" && !(status?.project === project && status.state === "paused");
}

/** Workers as they are called: trainers are numbered, others have the name of their role. @param {MyWorker[]} mine */
function named(mine) {
  const before = /** @type {{[role: string]: number}} */ ({});
  return mine.map((worker) => {
    const n = (before[worker.role] = (before[worker.role] ?? 0) + 1);
    const role = text.role[worker.role] ?? worker.role;
    return { worker, name: worker.role === "trainer" ? words.name(n) : n === 1 ? role : `${role} ${n}` };
  });
}

/** Whether trainers of this page leave no core free. @param {Env} env */
const crowded = (env) => env.live.workers.value.filter(({ role }) => role === "trainer").length > Math.max(1, env.cores - 1);

/** @param {{env: Env, project: string}} props */
export function MyWorkers({ env, project }) {
  const mine = myWorkers(env, project);
  const all = named(mine);
  useNews(env, all.map(({ worker, name }) => ({ id: worker.worker, name, state: shownState(env, worker) })));
  const pending = usePending(mine.length);
  const elsewhere = env.live.workers.value.length - mine.length;
  const add = (/** @type {number} */ n) => {
    pending.begin(env.live.refusal, n);
    for (let i = 0; i < n; i += 1) addWorker(env, project);
    env.said.value = words.adding;
  };
  return html`
    <section class="panel device" aria-labelledby="device-title">
      <div class="panel-head">
        <h2 id="device-title">${words.title}</h2>
        <span class="panel-note">${words.cores(Math.min(env.live.workers.value.length, env.cores), env.cores)}</span>
      </div>
      <button type="button" class="primary big" data-testid="add-worker" onClick=${() => add(1)}><${Icon} name="plus" />${words.add}</button>
      <${LendMore} env=${env} project=${project} add=${add} />
      <${Intensity} env=${env} mine=${mine} />
      <${Capacity} env=${env} mine=${mine} />
      <p class="panel-lead" data-testid="lead">${words.lead}${crowded(env) ? ` ${words.givesWay}` : ""}${elsewhere ? ` ${words.elsewhere(elsewhere)}` : ""}</p>
      <${Slept} env=${env} />
      <${Refusal} env=${env} />
      <ul class="my-workers" aria-label=${words.title}>
        ${all.map(({ worker, name }) => html`<${MyRow} key=${worker.worker} env=${env} worker=${worker} name=${name} />`)}
        ${pending.waiting && html`<li class="worker-row starting"><span class="dot" aria-hidden="true"></span>${words.adding}</li>`}
      </ul>
      <${Quota} env=${env} />
    </section>
  `;
}

/** From the click until the boss lists the worker, or something was refused. @param {number} n how many it lists */
function usePending(n) {
  const expected = useSignal(0);
  useEffect(() => {
    if (n >= expected.value) expected.value = 0;
  }, [n]);
  return {
    waiting: expected.value > n,
    /** @param {import("./types").Live["refusal"]} refusal @param {number} added */
    begin(refusal, added) {
      refusal.value = null;
      expected.value = Math.max(expected.value, n) + added;
      const stop = refusal.subscribe((refused) => {
        if (!refused) return;
        expected.value = 0;
        queueMicrotask(() => stop());
      });
    },
  };
}

/** @param {{env: Env}} props */
export function Slept({ env }) {
  const ms = env.live.slept.value;
  return ms ? html`<${Hint} id="slept" onDismiss=${() => (env.live.slept.value = 0)}>${text.slept(ms / 1000, env.live.workers.value.length)}<//>` : null;
}

/** @param {{env: Env}} props */
function Refusal({ env }) {
  const refused = env.live.refusal.value;
  if (!refused) return null;
  return html`<${Problem} id="refusal" onDismiss=${() => (env.live.refusal.value = null)}>${sentence(refused.reason)}<//>`;
}

/** How much of the time this device computes; workers that run follow at once. @param {{env: Env, mine: MyWorker[]}} props */
export function Intensity({ env, mine }) {
  const choose = (/** @type {typeof INTENSITIES[number]} */ { share }) => mine.forEach(({ worker }) => env.live.tune(worker, { intensity: share }));
  return html`<${Choice} env=${env} name="intensity" legend=${words.intensity} options=${INTENSITIES} first=${chosenIntensity(env)} onChoose=${choose} />`;
}

/** How many pictures each worker holds in memory; workers that run follow at once. @param {{env: Env, mine: MyWorker[]}} props */
export function Capacity({ env, mine }) {
  const choose = (/** @type {typeof CAPACITIES[number]} */ { gift }) => mine.forEach(({ worker }) => env.live.tune(worker, gift));
  return html`<${Choice} env=${env} name="capacity" legend=${words.capacity} options=${CAPACITIES} first=${chosenCapacity(env)} onChoose=${choose} />`;
}

/** How much this browser keeps for the next visit. @param {{env: Env}} props */
function Quota({ env }) {
  const choose = (/** @type {typeof QUOTAS[number]} */ quota) => env.live.keep(quota.bytes);
  return html`<${Choice} env=${env} name="quota" legend=${words.quota} options=${QUOTAS} first=${chosenQuota(env)} onChoose=${choose} />`;
}

/** @typedef {{id: string, label: string, hint: string}} Option */

/**
 * One of three, which this browser remembers.
 * @template {Option} T
 * @param {{env: Env, name: string, legend: string, options: T[], first: T, onChoose: (option: T) => void}} props
 */
function Choice({ env, name, legend, options, first, onChoose }) {
  const chosen = useSignal(first.id);
  const choose = (/** @type {T} */ option) => {
    chosen.value = option.id;
    env.keep(name, option.id);
    onChoose(option);
  };
  const hint = options.find(({ id }) => id === chosen.value)?.hint;
  return html`
    <fieldset class="segments" aria-describedby=${`${name}-hint`}>
      <legend>${legend}</legend>
      ${options.map(
        (option) => html`<label>
          <input type="radio" name=${name} value=${option.id} data-testid=${`${name}-${option.id}`} checked=${chosen.value === option.id} onChange=${() => choose(option)} />
          <span>${option.label}</span>
        </label>`,
      )}
      <p id=${`${name}-hint`} class="segments-hint">${hint}</p>
    </fieldset>
  `;
}

/** @param {{env: Env, worker: MyWorker, name: string}} props */
function MyRow({ env, worker, name }) {
  const state = shownState(env, worker);
  const paused = state === "paused";
  const held = worker.allocated ? Math.min(1, worker.cached / worker.allocated) : 0;
  const failed = state === "failed";
  const hint = text.workerHint[paused && waits(env) ? "charging" : state] ?? "";
  // of who is early the master says the same, a moment later; of who is paused it knows nothing that matters
  const trains = computing(state) && worker.role === "trainer"; // what is said then comes and goes: it has one line, always
  const why = state === "saturated" || state === "turn" || paused ? hint : [sentence(worker.reason), failed || !worker.reason ? hint : ""].filter(Boolean).join(" ");
  const looks = worker.role !== "trainer";
  const toggle = () => env.live.tune(worker.worker, { paused: !paused });
  return html`
    <li class="worker-row" data-testid=${looks ? `${worker.role}-row` : "worker-row"} data-worker=${worker.worker}>
      <div class="worker-head">
        <span class=${`dot ${state}`} aria-hidden="true"></span>
        <span class="worker-name">${name}</span>
        <span class="worker-state" data-testid="worker-state" data-state=${state}>${text.worker[state] ?? state}</span>
        <span class="grow"></span>
        ${!failed && html`<button type="button" class="quiet icon-only" data-testid=${paused ? "resume-worker" : "pause-worker"} aria-label=${paused ? words.resumeOf(name) : words.pauseOf(name)} title=${paused ? words.resume : words.pause} onClick=${toggle}>
          <${Icon} name=${paused ? "play" : "pause"} solid=${paused} />
        </button>`}
        <button type="button" class="quiet icon-only" data-testid="remove-worker" aria-label=${words.removeOf(name)} title=${words.remove} onClick=${() => env.live.remove(worker.worker)}>
          <${Icon} name="close" />
        </button>
      </div>
      <${Meter} share=${held} label=${words.cached} />
      <dl class="worker-figures">
        <div title=${worker.totalBytes ? `${bytes(worker.downloadedBytes)} / ${bytes(worker.totalBytes)}` : ""}>
          <dt>${words.cached}</dt>
          <dd>${count(worker.cached)}<span class="unit">/ ${count(worker.allocated)}</span></dd>
        </div>
        ${!looks && html`<div title=${words.powerHint}><dt>${words.power}</dt><dd>${count(worker.power)}<span class="unit">/s</span></dd></div>
        <div><dt>${words.contributed}</dt><dd data-testid="worker-total">${count(worker.total)}</dd></div>`}
        ${looks && html`<div><dt>${text.stat.iteration}</dt><dd>${count(worker.iteration)}</dd></div>`}
      </dl>
      ${(why || trains) && html`<p class=${`worker-why ${failed ? "bad" : ""} ${trains ? "one-line" : ""}`} title=${trains ? why : ""}>${why}</p>`}
    </li>
  `;
}

/** A share as a thin bar. @param {{share: number, label: string}} props */
export const Meter = ({ share, label }) => html`
  <div class="meter" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)}>
    <span style=${{ transform: `scaleX(${share})` }}></span>
  </div>
`;
