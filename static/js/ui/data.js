// The data panel: which pictures the project learns from, how many of each label; the owner adds more.
import { count } from "./format.js";
import { Problem } from "./parts.js";
import { html, useEffect, useSignal } from "./preact.js";
import { text } from "./text.js";
import { DropZone, Outcome } from "./upload.js";

/** @typedef {ReturnType<typeof import("./upload.js").useUpload>} Upload */
/** @typedef {import("./types").Env} Env @typedef {import("./types").Project} Project @typedef {import("./types").Report} Report */

const words = text.data;

/** @param {Env} env @param {Project} project */
function useReports(env, project) {
  const reports = useSignal(/** @type {Report[]} */ ([]));
  const problem = useSignal("");
  const ids = project.datasets.map(({ dataset }) => dataset).join(" ");
  const cuts = project.datasets.map(({ cut }) => cut).join(" "); // another one: a newer version, with other counts
  useEffect(() => {
    if (!ids) return;
    Promise.all(ids.split(" ").map((id) => env.api.dataset(id))).then(
      (found) => {
        reports.value = found;
        problem.value = "";
      },
      (error) => (problem.value = error.message),
    );
  }, [ids, cuts]);
  return { reports: reports.value, problem: problem.value };
}

/** @param {{env: Env, project: Project, upload: Upload}} props */
export function DataPanel({ env, project, upload }) {
  const { reports, problem } = useReports(env, project);
  const owner = env.live.owner.value;
  const has = project.datasets.length > 0;
  return html`
    <section class="panel" aria-labelledby="data-title">
      <div class="panel-head">
        <h2 id="data-title">${words.title}</h2>
        ${has && html`<span class="panel-note">${words.summary(project.status.data_vectors, project.status.labels)}</span>`}
      </div>
      ${!has && !owner && html`<p class="panel-empty">${words.none}</p>`} ${project.datasets.map(({ dataset, labels }) => html`<${Labels} key=${dataset} names=${labels} report=${reports.find(({ id }) => id === dataset)} picture=${(/** @type {number} */ label) => env.api.thumbnailsUrl(dataset, label)} />`)}
      ${problem && html`<${Problem}>${problem}<//>`}
      <${Outcome} upload=${upload} />
      ${owner &&
      (has
        ? html`<details class="more"><summary>${words.add}</summary><${DropZone} project=${project} upload=${upload} /><${Existing} env=${env} project=${project} upload=${upload} /></details>`
        : html`<${DropZone} project=${project} upload=${upload} large /><${Existing} env=${env} project=${project} upload=${upload} />`)}
    </section>
  `;
}

/** @param {Report["labels"]} labels @param {"validation" | "test"} part */
const hasPart = (labels, part) => labels.some((label) => label[part] > 0);

/** @typedef {Report["labels"][number]} Label */

/** The labels as the project names them, until the data server has told their counts. @param {string[]} names @returns {Label[]} */
const uncounted = (names) => names.map((name) => ({ name, train: NaN, validation: 0, test: 0 }));

/** How many pictures each label has. @param {{names: string[], report: Report | undefined, picture: (label: number) => string}} props */
function Labels({ names, report, picture }) {
  const labels = report?.labels ?? uncounted(names);
  const most = Math.max(1, ...labels.map((label) => label.train || 0));
  const [validation, test] = [hasPart(labels, "validation"), hasPart(labels, "test")];
  return html`
    <h3 class="data-name">${report ? html`<a data-testid="data-of-project" href=${`/data/${report.id}`} title=${text.data.setsHint}>${report.name}</a>` : "\u00a0"}<span class="panel-note">${report ? words.size(report.bytes) : ""}</span></h3>
    <div class="table-scroll labels-scroll" tabindex="0" role="region" aria-label=${words.title}>
      <table class="labels">
        <thead>
          <tr>
            <th scope="col">${words.label}</th>
            <th scope="col" colspan="2">${words.train}</th>
            ${validation && html`<th scope="col" class="number">${words.validation}</th>`} ${test && html`<th scope="col" class="number">${words.test}</th>`}
          </tr>
        </thead>
        <tbody>
          ${labels.map(
            (label, index) => html`<tr>
              <th scope="row">${label.name}</th>
              <td class="bar"><${Pictures} src=${picture(index)} /><span aria-hidden="true" style=${{ transform: `scaleX(${(label.train || 0) / most})` }}></span></td>
              <td class="number">${count(label.train)}</td>
              ${validation && html`<td class="number">${count(label.validation)}</td>`} ${test && html`<td class="number">${count(label.test)}</td>`}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}

/** Some of a label's pictures; where they cannot be had their place stays empty. @param {{src: string}} props */
const Pictures = ({ src }) => html`<img src=${src} alt="" height="20" loading="lazy" decoding="async" onError=${(/** @type {any} */ event) => event.target.classList.add("missing")} />`;

/** Data sets that the data server has and this project does not. @param {{env: Env, project: Project, upload: Upload}} props */
function Existing({ env, project, upload }) {
  const found = useSignal(/** @type {Report[]} */ ([]));
  const chosen = useSignal("");
  useEffect(() => {
    env.api.datasets().then(
      (reports) => (found.value = reports),
      () => (found.value = []), // the drop zone above is the way then; its own error says what is wrong
    );
  }, [project.datasets.length]);
  const used = new Set(project.datasets.map(({ dataset }) => dataset));
  const free = found.value.filter((report) => !used.has(report.id));
  if (!free.length) return null;
  const report = free.find(({ id }) => id === chosen.value) ?? free[0];
  return html`
    <div class="existing">
      <label for="existing-data">${words.existing}</label>
      <span class="existing-row">
        <select id="existing-data" data-testid="existing-data" value=${report.id} onChange=${(/** @type {any} */ event) => (chosen.value = event.target.value)}>
          ${free.map(({ id, name, images }) => html`<option value=${id}>${name} (${count(images)})</option>`)}
        </select>
        <button type="button" data-testid="use-existing" disabled=${upload.state.stage !== "idle"} onClick=${() => upload.use(report)}>${words.use}</button>
      </span>
    </div>
  `;
}
