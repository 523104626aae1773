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
  useEffect(() => {
    if (!ids) return;
    Promise.all(ids.split(" ").map((id) => env.api.dataset(id))).then(
      (found) => {
        reports.value = found;
        problem.value = "";
      },
      (error) => (problem.value = error.message),
    );
  }, [ids]);
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
      ${!has && !owner && html`<p class="panel-empty">${words.none}</p>`} ${reports.map((report) => html`<${Labels} key=${report.id} report=${report} />`)}
      ${problem && html`<${Problem}>${problem}<//>`}
      <${Outcome} upload=${upload} />
      ${owner &&
      (has
        ? html`<details class="more"><summary>${words.add}</summary><${DropZone} project=${project} upload=${upload} /><${Existing} env=${env} project=${project} upload=${upload} /></details>`
        : html`<${DropZone} project=${project} upload=${upload} large /><${Existing} env=${env} project=${project} upload=${upload} />`)}
    </section>
  `;
}

/** @param {Report} report @param {"validation" | "test"} part */
const hasPart = (report, part) => report.labels.some((label) => label[part] > 0);

/** How many pictures each label has. @param {{report: Report}} props */
function Labels({ report }) {
  const most = Math.max(1, ...report.labels.map((label) => label.train));
  const [validation, test] = [hasPart(report, "validation"), hasPart(report, "test")];
  return html`
    <h3 class="data-name">${report.name}<span class="panel-note">${words.size(report.bytes)}</span></h3>
    <div class="table-scroll labels-scroll" tabindex="0" role="region" aria-label=${report.name}>
      <table class="labels">
        <thead>
          <tr>
            <th scope="col">${words.label}</th>
            <th scope="col" colspan="2">${words.train}</th>
            ${validation && html`<th scope="col" class="number">${words.validation}</th>`} ${test && html`<th scope="col" class="number">${words.test}</th>`}
          </tr>
        </thead>
        <tbody>
          ${report.labels.map(
            (label) => html`<tr>
              <th scope="row">${label.name}</th>
              <td class="bar"><span aria-hidden="true" style=${{ transform: `scaleX(${label.train / most})` }}></span></td>
              <td class="number">${count(label.train)}</td>
              ${validation && html`<td class="number">${count(label.validation)}</td>`} ${test && html`<td class="number">${count(label.test)}</td>`}
            </tr>`,
          )}
        </tbody>
      </table>
    </div>
  `;
}

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
