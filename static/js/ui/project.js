// A project's page: what it does, how well it learns, who helps, and the controls of its owner.
import { Charts } from "./chart.js";
import { CheckpointsPanel, SavingTrouble } from "./checkpoints.js";
import { DataPanel } from "./data.js";
import { Download } from "./download.js";
import { trainedFor, useHistory } from "./history.js";
import { Icon } from "./icons.js";
import { Invite } from "./invite.js";
import { MyWorkers } from "./mine.js";
import { NetworkTable } from "./network.js";
import { OwnerControls } from "./owner.js";
import { About, Badge, LaterPanel, Problem } from "./parts.js";
import { html, useEffect, useMemo, useSignal } from "./preact.js";
import { SettingsPanel } from "./settings.js";
import { describe, inputSize, parameterCount } from "./shapes.js";
import { Strip } from "./strip.js";
import { AllWorkers } from "./table.js";
import { TestPanel } from "./testset.js";
import { useTests, withTests } from "./tests.js";
import { sentence, text } from "./text.js";
import { useUpload } from "./upload.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").Project} Project @typedef {import("./types").Status} Status */

/**
 * The project as the server describes it; read again when the number of labels or its state changes.
 * @param {Env} env @param {string} id @param {boolean} [table] whether the page shows the workers of others, too
 */
export function useProject(env, id, table = false) {
  const project = useSignal(/** @type {Project | null} */ (null));
  const problem = useSignal("");
  const load = () =>
    env.api.project(id).then(
      (found) => {
        project.value = found;
        problem.value = "";
      },
      (error) => (problem.value = error.message),
    );
  const live = env.live.status.value;
  const status = live?.project === id ? live : project.value?.status ?? null;
  useEffect(() => void load(), [id, status?.labels, status?.data_vectors, status?.period, status?.test_vectors]);
  useEffect(() => env.live.watch(id, table), [id]);
  return { project: project.value, status, problem: problem.value, load };
}

/** What the page came with is known before the server is asked, so that nothing moves when it answers. @param {Env} env @param {string} id */
export const aboutOf = (env, id) => (env.named?.id === id ? env.named.about : null);

/** @param {{env: Env, id: string}} props */
export function ProjectPage({ env, id }) {
  const { project, status, problem, load } = useProject(env, id, true);
  const trouble = useSignal("");
  const history = useHistory(env, id);
  const name = project?.name ?? (env.named?.id === id ? env.named.name : "");
  useEffect(() => env.title(name), [name]);
  if (env.live.removed.value === id) return html`<${Gone} sentence=${text.removed} />`;
  if (problem && !project) return html`<${Gone} sentence=${problem} again=${load} />`;
  const shown = status ?? EMPTY;
  const owner = env.live.owner.value;
  const controls = { env, id, name, status: shown, onChanged: load, onProblem: (/** @type {string} */ words) => (trouble.value = words) };
  return html`
    <div class="page wide">
      <div class="page-head">
        <div class="title">
          <h1 data-testid="project-title">${name || "\u00a0"}</h1>
          ${status && html`<${Badge} state=${shown.state} />`}
          <p class="why">${project && status ? lineOf(project, status, owner) : "\u00a0"}</p>
        </div>
        <div class="head-actions">
          ${owner && html`<${OwnerControls} ...${controls} />`}
          <a class="button" href=${`/project/${encodeURIComponent(id)}/classify`} data-testid="classify"><${Icon} name="eye" />${text.classify}</a>
          <${Download} env=${env} id=${id} project=${project} onSaved=${load} />
        </div>
      </div>
      <${About} about=${project?.about ?? aboutOf(env, id)} />
      ${trouble.value && html`<${Problem} id="trouble" onDismiss=${() => (trouble.value = "")}>${sentence(trouble.value)}<//>`}
      ${owner && html`<${SavingTrouble} env=${env} />`}
      <${Strip} status=${shown} trained=${trainedFor(history.points, shown.period)} />
      <${Body} env=${env} id=${id} name=${name} project=${project} status=${status} history=${history} load=${load} />
    </div>
  `;
}

/** @type {Status} What is shown before the first answer: the same boxes, without figures. */
const EMPTY = {
  ...{ project: "", state: "", why: "", iteration: NaN, period: NaN, error: -1, loss: -1, vectors: 0, power: NaN },
  ...{ trainers: NaN, clients: 0, efficiency: -1, data_vectors: NaN, labels: 0, remaining_ms: 0 },
  ...{ test_vectors: 0, test_iteration: -1, test_error: -1, test_loss: -1 },
};

/** @param {{env: Env, id: string, name: string, project: Project | null, status: Status | null, history: ReturnType<typeof useHistory>, load: () => void}} props */
function Body({ env, id, name, project, status, history, load }) {
  const { tests, problem: untold } = useTests(env, id);
  const points = useMemo(() => withTests(history.points, tests), [history.points, tests]);
  const problem = history.problem || untold;
  const upload = useUpload(env, project, load);
  const owner = env.live.owner.value;
  const panel = project && status && html`<${DataPanel} env=${env} project=${{ ...project, status }} upload=${upload} />`;
  const first = owner && project?.datasets.length === 0; // then nothing matters more than data
  return html`
    <div class="project-grid">
      <div class="cell-device"><${MyWorkers} env=${env} project=${id} /></div>
      <div class="cell-main">
        ${first && panel} ${problem && html`<${Problem}>${problem}<//>`}
        <${Charts} env=${env} id=${id} points=${points} name=${name} />
        <${AllWorkers} env=${env} project=${id} />
        ${project && status && html`<${Folds} env=${env} project=${project} labels=${status.labels} load=${load} />`}
      </div>
      <div class="cell-more">
        ${!first && panel}
        ${project && status && project.datasets.length > 0 && html`<${TestPanel} env=${env} project=${project} status=${status} tests=${tests} load=${load} />`}
        ${project && html`<${Invite} env=${env} id=${id} />`}
      </div>
    </div>
  `;
}

/** What is looked at now and then. @param {{env: Env, project: Project, labels: number, load: () => void}} props */
const Folds = ({ env, project, labels, load }) => html`
  <div class="folds">
    <details class="panel folding">
      <summary><h2>${text.network.title}</h2><${Icon} name="chevron" /></summary>
      <div class="panel-body"><${NetworkTable} layers=${project.layers} labels=${labels} /></div>
    </details>
    <${LaterPanel} title=${text.log.title} id="log" load=${() => import("./log.js").then(({ Log }) => Log)} props=${{ env, id: project.id }} />
    ${env.live.owner.value && html`<${SettingsPanel} env=${env} project=${project} onSaved=${load} />`}
    ${env.live.owner.value && html`<${CheckpointsPanel} env=${env} id=${project.id} name=${project.name} onRestored=${load} />`}
  </div>
`;

/** One line: the one thing that is missing before it learns, else what it learns. @param {Project} project @param {Status} status @param {boolean} owner */
function lineOf(project, status, owner) {
  const words = text.next;
  if (!project.datasets.length) return owner ? words.noDataOwner : words.noDataVisitor;
  if (status.state === "paused") return owner ? words.pausedOwner : words.pausedVisitor;
  if (!status.trainers) return words.noWorkers;
  if (status.why) return sentence(status.why);
  const { width, height, channels } = inputSize(project.layers);
  return words.learning(parameterCount(describe(project.layers, status.labels || 1)), status.labels, text.data.pixels(width, height, channels));
}

/** @param {{sentence: string, again?: () => void}} props */
export const Gone = ({ sentence: words, again }) => html`
  <div class="page narrow">
    <h1>${text.notFoundTitle}</h1>
    <p class="lead" role="alert">${sentence(words)}</p>
    <p class="row">
      <a class="button" data-testid="to-projects" href="/">${text.toProjects}</a> ${again && html`<button type="button" class="plain" data-testid="gone-again" onClick=${again}>${text.again}</button>`}
    </p>
  </div>
`;
