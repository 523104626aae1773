// The test set panel: what the network is tested on, how it does there, who measures it; the owner chooses and uploads.
import { loss, percent } from "./format.js";
import { Icon } from "./icons.js";
import { Hint, Problem } from "./parts.js";
import { html, useEffect, useRef, useSignal } from "./preact.js";
import { bestOf, stalled } from "./tests.js";
import { sentence } from "./text.js";
import { words } from "./testset/text.js";
import { DropZone, Outcome, useUpload } from "./upload.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").Project} Project @typedef {import("./types").Status} Status @typedef {import("./types").Evaluation} Evaluation */

const OFF = "measure-off"; // this browser's owner stopped measuring this project: it does not begin by itself again

/** This page's own statistics worker for a project. @param {Env} env @param {string} id */
export const evaluatorOf = (env, id) => env.live.workers.value.find(({ project, role }) => project === id && role === "statistics");

/** @param {Env} env @param {string} id */
export const startEvaluator = (env, id) => env.live.say({ type: "add", project: id, role: "statistics" });

/** Whether anybody measures: a browser of the owner's, or a native worker; visitors' own are theirs alone. @param {Env} env @param {string} id */
const measured = (env, id) => env.live.roster.value?.project === id && env.live.roster.value.rows.some(({ role }) => role === "statistics");

/** The owner's first worker brings one that measures, where there is something to measure on. @param {Env} env @param {string} id @param {boolean} testable */
function useMeasuring(env, id, testable) {
  const begun = useRef(false);
  const trains = env.live.workers.value.some(({ project, role }) => project === id && role === "trainer");
  const known = env.live.roster.value?.project === id;
  useEffect(() => {
    if (!env.live.owner.value || !testable || !trains || !known || begun.current) return;
    begun.current = true;
    if (env.recall(`${OFF}-${id}`) !== "yes" && !evaluatorOf(env, id) && !measured(env, id)) startEvaluator(env, id);
  }, [testable, trains, known]);
}

/** @param {{env: Env, project: Project, status: Status, tests: Evaluation[], load: () => void}} props */
export function TestPanel({ env, project, status, tests, load }) {
  const { id, test } = project;
  useMeasuring(env, id, test.vectors > 0);
  const owner = env.live.owner.value;
  const labels = Object.keys(test.counts).length;
  const unknown = Object.entries(test.unknown);
  return html`
    <section class="panel test-set" aria-labelledby="test-title" data-testid="test-set">
      <div class="panel-head">
        <h2 id="test-title">${words.title}</h2>
        ${test.vectors > 0 && html`<span class="panel-note" data-testid="test-count">${words.count(test.vectors, labels)}</span>`}
      </div>
      <p class="panel-lead" data-testid="test-part">${words.part[test.part]}</p>
      ${unknown.length > 0 && html`<p class="panel-lead">${words.unknown(unknown.reduce((sum, [, n]) => sum + n, 0), unknown.map(([label]) => label))}</p>`}
      ${tests.length > 0 && html`<${Figures} tests=${tests} />`}
      <${Stalled} tests=${tests} />
      ${(test.vectors > 0 || tests.length > 0) && html`<${Measuring} env=${env} id=${id} owner=${owner} />`}
      ${owner && project.datasets.length > 0 && html`<${Choice} env=${env} project=${{ ...project, status }} load=${load} />`}
    </section>
  `;
}

/** The newest and the best. @param {{tests: Evaluation[]}} props */
export function Figures({ tests }) {
  const newest = tests[tests.length - 1];
  const best = bestOf(tests) ?? newest;
  const figures = [
    [words.error, percent(newest.error), words.at(newest.iteration), "test-error"],
    [words.loss, loss(newest.loss), words.at(newest.iteration), "test-loss"],
    [words.best, percent(best.error), words.at(best.iteration), "test-best"],
  ];
  return html`<dl class="test-figures">
    ${figures.map(([name, value, note, key]) => html`<div><dt>${name}</dt><dd><span data-testid=${key}>${value}</span><span class="note">${note}</span></dd></div>`)}
  </dl>`;
}

/** What to do when it no longer gets better. @param {{tests: Evaluation[]}} props */
export function Stalled({ tests }) {
  const found = stalled(tests);
  return found && html`<${Hint}><span data-testid="stalled">${words.stalled(found.since, percent(found.best.error), found.best.iteration)}</span><//>`;
}

/** Start and stop measuring, and the way to the statistics. @param {{env: Env, id: string, owner: boolean}} props */
function Measuring({ env, id, owner }) {
  const mine = evaluatorOf(env, id);
  const start = () => {
    env.keep(`${OFF}-${id}`, "");
    startEvaluator(env, id);
    env.said.value = words.starting;
  };
  const stop = () => {
    env.keep(`${OFF}-${id}`, "yes");
    if (mine) env.live.remove(mine.worker);
  };
  return html`
    <div class="test-actions">
      ${owner && !mine && html`<button type="button" data-testid="measure" onClick=${start}><${Icon} name="play" solid />${words.measure}</button>`}
      ${owner && mine && html`<button type="button" data-testid="measure-stop" onClick=${stop}><${Icon} name="pause" />${words.stop}</button>`}
      <a class="button" href=${`/project/${encodeURIComponent(id)}/statistics`} data-testid="to-statistics"><${Icon} name="chart" />${words.statistics}</a>
    </div>
    <p class="panel-lead" role="status">${lineOf(env, id, owner)}</p>
    ${mine?.reason && html`<${Problem}>${sentence(mine.reason)}<//>`}
  `;
}

/** Who measures. @param {Env} env @param {string} id @param {boolean} owner */
function lineOf(env, id, owner) {
  const mine = evaluatorOf(env, id);
  if (mine) return owner ? words.mine(mine.iteration) : words.mineAlone;
  if (measured(env, id)) return words.others;
  return owner ? words.nobody : words.nobodyVisitor;
}

/** @typedef {import("./types").TestPart} TestPart @type {TestPart[]} */
const PARTS = ["auto", "test", "validation", "none"];

/** Another test set: part of the data, or a zip of its own. @param {{env: Env, project: Project, load: () => void}} props */
function Choice({ env, project, load }) {
  const problem = useSignal("");
  const open = useSignal(false);
  const upload = useUpload(env, project, load, (report) => env.api.testOn(project.id, "upload", report.id));
  const choose = (/** @type {Event} */ event) => {
    const part = /** @type {TestPart} */ (/** @type {HTMLSelectElement} */ (event.target).value);
    problem.value = "";
    void env.api.testOn(project.id, part).then(load, (error) => (problem.value = error.message));
  };
  const { wished } = project.test;
  return html`
    <${Outcome} upload=${upload} />
    ${problem.value && html`<${Problem}>${sentence(problem.value)}<//>`}
    <details class="more" onToggle=${(/** @type {any} */ event) => (open.value = event.currentTarget.open)}>
      <summary data-testid="change-test-set">${words.change}</summary>
      ${open.value &&
      html`<label class="test-choice">
          <span>${words.from}</span>
          <select data-testid="test-choice" value=${wished} onChange=${choose}>
            ${[...PARTS, ...(wished === "upload" ? ["upload"] : [])].map((part) => html`<option value=${part} disabled=${part === "upload"}>${words.choice[part]}</option>`)}
          </select>
        </label>
        <${DropZone} project=${project} upload=${upload} title=${words.drop} how=${words.how} testid="test-file" />`}
    </details>
  `;
}

