// All data sets at a glance, and the way to a new one without a project.
import { count } from "../format.js";
import { Icon } from "../icons.js";
import { Problem } from "../parts.js";
import { html, useEffect, useSignal } from "../preact.js";
import { text } from "../text.js";
import { Drop, Outcome, useSending } from "../upload.js";
import { useAsked, useProjectNames } from "./asked.js";
import { CutFields, FIRST, sizeProblem } from "./cuts.js";
import { DatasetPage } from "./one.js";
import { Strip } from "./strip.js";
import { words } from "./text.js";

/** @typedef {import("../types").Env} Env @typedef {import("../types").Report} Report */

const SHOWN_LABELS = 3; // strips on a card

/** @param {{env: Env, id: string}} props */
export function DatasetsPage({ env, id }) {
  useEffect(() => env.live.watch(""), []);
  return id ? html`<${DatasetPage} env=${env} id=${id} />` : html`<${List} env=${env} />`;
}

/** @param {{env: Env}} props */
function List({ env }) {
  const { found, problem, load } = useAsked(() => env.api.datasets(), []);
  const names = useProjectNames(env);
  const owner = env.live.owner.value;
  useEffect(() => env.title(words.title), []);
  return html`
    <div class="page datasets">
      <div class="page-head">
        <div>
          <h1>${words.title}</h1>
          <p class="lead">${words.lead}</p>
        </div>
      </div>
      ${problem && html`<${Problem} id="datasets" again=${load}>${problem}<//>`}
      ${found === null && !problem && html`<p class="quiet-line" role="status">${text.loading}</p>`}
      ${found?.length === 0 && html`<section class="empty"><h2>${words.empty}</h2><p>${owner ? words.emptyOwner : words.emptyVisitor}</p></section>`}
      ${!!found?.length && html`<ul class="cards">${found.map((report) => html`<${Card} key=${report.id} env=${env} report=${report} names=${names} />`)}</ul>`}
      ${owner && found && html`<${NewData} env=${env} onReady=${load} />`}
    </div>
  `;
}

/** @param {{env: Env, report: Report, names: Map<string, string>}} props */
function Card({ env, report, names }) {
  const figures = [
    [words.pictures, count(report.images)],
    [words.labels, count(report.labels.length)],
    [words.size, words.bytes(report.bytes)],
    [words.version, count(report.version)],
  ];
  return html`
    <li class="card" data-testid="dataset-card" data-dataset=${report.id}>
      <div class="card-head"><h2><a data-testid="open-dataset" href=${`/data/${report.id}`}>${report.name}</a></h2></div>
      <div class="strips">
        ${report.labels.slice(0, SHOWN_LABELS).map((label, number) => html`<${Strip} src=${env.api.thumbnailsUrl(report.id, number, report.version)} label=${label.name} />`)}
      </div>
      <dl class="card-figures">${figures.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
      <p class="card-foot">${report.uses.length ? `${words.usedBy} ${report.uses.map((id) => names.get(id) ?? id).join(", ")}.` : words.unused}</p>
    </li>
  `;
}

/** Upload a zip for whom it may concern. @param {{env: Env, onReady: () => Promise<void>}} props */
function NewData({ env, onReady }) {
  const wish = useSignal(FIRST);
  const problem = useSignal("");
  const upload = useSending(
    env,
    () => {
      const { width, height, channels, ...options } = wish.value;
      return { size: { width, height, channels }, options };
    },
    onReady,
  );
  const careful = {
    ...upload,
    take(/** @type {FileList | null | undefined} */ files) {
      problem.value = sizeProblem(wish.value);
      if (!problem.value) upload.take(files);
    },
  };
  return html`
    <section class="panel new-data" aria-labelledby="new-data-title">
      <div class="panel-head"><h2 id="new-data-title">${words.add}</h2></div>
      <p class="quiet-line">${words.uploadNote}</p>
      <${CutFields} wish=${wish.value} set=${(/** @type {typeof FIRST} */ next) => (wish.value = next)} problem=${problem.value} />
      <${Drop} upload=${careful} large />
      <${Outcome} upload=${upload} />
      ${upload.state.report && html`<p><a class="button" data-testid="open-data" href=${`/data/${upload.state.report.id}`}><${Icon} name="arrow" />${words.open(upload.state.report.name)}</a></p>`}
    </section>
  `;
}
