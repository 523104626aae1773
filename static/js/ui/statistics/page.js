// The statistics page: how the newest network does on the test set, evaluated here, live with each evaluation.
import { perLabel, scored } from "../../statistics.js";
import { Charts } from "../chart.js";
import { FIGURES } from "../figures.js";
import { count, fileName, loss, percent } from "../format.js";
import { useHistory } from "../history.js";
import { Icon } from "../icons.js";
import { PageHead, Problem, Stat } from "../parts.js";
import { html, useEffect, useMemo, useRef } from "../preact.js";
import { Gone, useProject } from "../project.js";
import { inputSize } from "../shapes.js";
import { bestOf, useTests, withTests } from "../tests.js";
import { evaluatorOf, Stalled, startEvaluator } from "../testset.js";
import { words as panel } from "../testset/text.js";
import { sentence, text } from "../text.js";
import { Confusion } from "./confusion.js";
import { Labels, mean } from "./labels.js";
import { words } from "./text.js";
import { Worst } from "./worst.js";

/** @typedef {import("../types").Env} Env @typedef {import("../types").Project} Project @typedef {import("../types").Evaluation} Evaluation */
/** @typedef {import("./types").Evaluated} Evaluated @typedef {import("./types").Score} Score */

const CURVES = FIGURES.filter(({ key }) => key === "error" || key === "loss");

/** @param {{env: Env, id: string}} props */
export function StatisticsPage({ env, id }) {
  const { project, status, problem } = useProject(env, id, true);
  const name = project?.name ?? (env.named?.id === id ? env.named.name : "");
  useEffect(() => env.title(words.title(name)), [name]);
  useEvaluator(env, id, (project?.test.vectors ?? 0) > 0);
  if (env.live.removed.value === id) return html`<${Gone} sentence=${text.removed} />`;
  if (problem && !project) return html`<${Gone} sentence=${problem} />`;
  const report = env.live.report.value?.project === id ? env.live.report.value : null;
  return html`
    <div class="page wide statistics">
      <${PageHead} id=${id} title=${words.title(name)} lead=${words.lead} back=${words.back(name)} state=${status?.state}>
        <button type="button" data-testid="save-json" title=${words.saveHint} disabled=${!report} onClick=${() => report && saveJson(env, report, name)}><${Icon} name="download" />${words.save}</button>
      <//>
      ${project && html`<${Body} env=${env} project=${project} name=${name} report=${report} />`}
    </div>
  `;
}

/** Have a worker here that evaluates, as long as the page is open; the owner's goes on, because its figures are kept. @param {Env} env @param {string} id @param {boolean} testable */
function useEvaluator(env, id, testable) {
  const begun = useRef(false);
  const open = env.live.connection.value.state === "open";
  useEffect(() => {
    if (!testable || !open || begun.current || evaluatorOf(env, id)) return;
    begun.current = true;
    startEvaluator(env, id);
  }, [testable, open]);
  useEffect(
    () => () => {
      const own = evaluatorOf(env, id);
      if (begun.current && own && !env.live.owner.value) env.live.remove(own.worker);
    },
    [],
  );
}

/** @param {{env: Env, project: Project, name: string, report: Evaluated | null}} props */
function Body({ env, project, name, report }) {
  const { id } = project;
  const history = useHistory(env, id);
  const { tests, problem } = useTests(env, id);
  const curve = useCurve(tests, report, history.points.length > 0);
  const points = useMemo(() => withTests(history.points, curve), [history.points, curve]);
  const trouble = history.problem || problem || evaluatorOf(env, id)?.reason;
  const scores = useMemo(() => scoresOf(project, report), [project, report]);
  const last = project.test.last.iteration ?? -1;
  return html`
    ${trouble && html`<${Problem}>${sentence(trouble)}<//>`}
    ${!project.test.vectors && html`<div class="panel"><p class="panel-empty" data-testid="no-test-set">${project.datasets.length ? words.none : words.noData}</p></div>`}
    <${Figures} report=${report} tests=${curve} />
    <p class="evaluated" role="status" data-testid="evaluated" data-iteration=${report?.iteration ?? -1}>${project.test.vectors > 0 ? lineOf(env, id, report) : "\u00a0"}</p>
    <${Stalled} tests=${tests} />
    <${Charts} env=${env} id=${id} points=${points} name=${name} figures=${CURVES} />
    <div class="statistics-grid">
      ${report ? html`<${Confusion} report=${report} />` : project.test.vectors > 0 && html`<section class="panel confusion-panel"><div class="panel-head"><h2>${words.confusion}</h2></div><p class="panel-lead">${words.evaluating}</p></section>`}
      ${scores.length > 0 && html`<${Labels} scores=${scores} note=${report ? "" : words.reported(last)} />`}
      ${report && html`<${Worst} report=${report} size=${inputSize(project.layers)} />`}
    </div>
  `;
}

/** The kept evaluations, and this page's own that are newer. @param {Evaluation[]} tests @param {Evaluated | null} report @param {boolean} begun whether there is any training to compare with: else the project begins anew */
function useCurve(tests, report, begun) {
  const own = useRef(/** @type {Evaluation[]} */ ([]));
  return useMemo(() => {
    const kept = tests.length ? tests[tests.length - 1].iteration : -1;
    const before = begun ? own.current : [];
    const last = before.length ? before[before.length - 1].iteration : -1;
    const fresh = report && report.iteration > last ? [{ iteration: report.iteration, time: Date.now() / 1000, error: report.error, loss: report.loss, count: report.vectors }] : [];
    own.current = [...before, ...fresh].filter(({ iteration }) => iteration > kept);
    return [...tests, ...own.current];
  }, [tests, report, begun]);
}

/** @param {Env} env @param {string} id @param {Evaluated | null} report */
function lineOf(env, id, report) {
  if (!report) return evaluatorOf(env, id)?.state === "working" ? words.evaluating : words.fetching;
  const unknown = report.unknown ? words.unknown(report.unknown) : "";
  return `${words.evaluated(report.vectors, report.iteration, report.ms)}${unknown} ${env.live.owner.value ? words.kept : words.alone}`;
}

/** @param {{report: Evaluated | null, tests: Evaluation[]}} props */
const Figures = ({ report, tests }) => {
  const newest = report ?? tests[tests.length - 1];
  const best = bestOf(tests);
  return html`
    <dl class="strip" aria-label=${words.figures}>
      <${Stat} id="test-error" class="error" name=${words.error} value=${percent(newest?.error ?? -1)} hint=${words.errorHint} />
      <${Stat} id="test-loss" class="loss" name=${words.loss} value=${loss(newest?.loss ?? -1)} hint=${words.lossHint} />
      <${Stat} id="test-iteration" name=${text.stat.iteration} value=${count(newest?.iteration ?? NaN)} />
      <${Stat} id="test-best" name=${panel.best} value=${percent(best?.error ?? -1)} note=${best ? panel.at(best.iteration) : ""} />
      ${(report?.top ?? []).slice(1).map((share, place) => html`<${Stat} id=${`top-${place + 2}`} name=${words.top(place + 2)} value=${percent(share)} hint=${words.topHint} />`)}
    </dl>
  `;
};

/** Of this page's own evaluation, else of the newest that the owner reported. @param {Project} project @param {Evaluated | null} report @returns {Score[]} */
function scoresOf(project, report) {
  if (!report) return (project.test.last.labels ?? []).map((counts, place) => ({ label: project.labels[place], ...scored(...counts), takenFor: "" }));
  return perLabel(report.confusion)
    .slice(0, report.labels.length)
    .map((score, place) => ({ label: report.labels[place], ...score, takenFor: takenFor(report, place) }));
}

/** @param {Evaluated} report @param {number} label */
function takenFor(report, label) {
  const wrong = report.confusion[label].map((n, predicted) => (predicted === label ? 0 : n));
  const most = Math.max(...wrong);
  return most ? `${report.labels[wrong.indexOf(most)] ?? "–"} (${count(most)})` : "";
}

/** Save the figures as `mlitb evaluate --json` prints them. @param {Env} env @param {Evaluated} report @param {string} name */
function saveJson(env, report, name) {
  const { iteration, vectors, error, loss, top, labels, confusion } = report;
  const scores = perLabel(confusion)
    .slice(0, labels.length)
    .map(({ precision, recall, f1, support }, place) => ({ label: labels[place], precision, recall, f1, support, takenFor: "" }));
  const macro = { precision: mean(scores, "precision"), recall: mean(scores, "recall"), f1: mean(scores, "f1") };
  const plain = scores.map(({ takenFor: _, ...score }) => score);
  const figures = { model: name, iteration, vectors, error, loss, top, labels: plain, macro, confusion: confusion.slice(0, labels.length) };
  env.save(`${fileName(name)}-${iteration}-statistics.json`, new Blob([JSON.stringify(figures, null, 1)], { type: "application/json" }));
}
