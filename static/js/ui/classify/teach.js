// Teaching in the page: under which label, how many pictures, what became of them; who may.
import { Icon } from "../icons.js";
import { Field, Hint, Problem } from "../parts.js";
import { html, useEffect, useRef, useSignal } from "../preact.js";
import { cleaned, labelProblem } from "./teaching.js";
import { words } from "./text.js";

/** @typedef {import("../types").Env} Env @typedef {import("../types").Project} Project @typedef {import("../types").Status} Status */
/** @typedef {import("./pictures.js").Looking} Looking @typedef {import("./teaching.js").Teaching} Teaching */

const RECORDED = 20; // frames of one recording, enough for the network to learn them
const RECORD_MS = 200; // between two, so that they differ

/** Whether this person may teach. @param {Env} env @param {Project | null} project */
export const mayTeach = (env, project) => env.live.owner.value || project?.settings.volunteers_teach === true;

/** @param {{env: Env, project: Project, status: Status | null, looking: Looking, teaching: Teaching, teach: (label: string) => void, pause: (ms: number) => Promise<void>, onChanged: () => void}} props `teach` adds what is shown */
export function TeachPanel({ env, project, status, looking, teaching, teach, pause, onChanged }) {
  const owner = env.live.owner.value;
  const body = !project.datasets.length ? html`<p class="quiet-line">${words.noData}</p>` : mayTeach(env, project) ? html`<${Teacher} project=${project} status=${status} looking=${looking} teaching=${teaching} teach=${teach} pause=${pause} />` : html`<p class="quiet-line" data-testid="teach-not-allowed">${words.notAllowed}</p>`;
  return html`
    <section class="panel" aria-labelledby="teach-title" data-testid="teach-panel">
      <div class="panel-head"><h2 id="teach-title">${words.teach}</h2></div>
      ${body} ${owner && project.datasets.length > 0 && html`<${Volunteers} env=${env} project=${project} onChanged=${onChanged} />`}
    </section>
  `;
}

/** @param {{project: Project, status: Status | null, looking: Looking, teaching: Teaching, teach: (label: string) => void, pause: (ms: number) => Promise<void>}} props */
function Teacher({ project, status, looking, teaching, teach, pause }) {
  const typed = useSignal("");
  const problem = useSignal("");
  const input = (/** @type {any} */ event) => {
    typed.value = event.target.value;
    problem.value = "";
  };
  /** Do something under the label that is typed. @param {(label: string) => void} work */
  const under = (work) => {
    const label = cleaned(typed.value);
    problem.value = labelProblem(label);
    if (!problem.value) work(label);
  };
  const all = looking.pictures.all;
  const record = useRecording(looking, teaching, pause);
  const live = looking.camera.state.stream !== null;
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    under(teach);
  };
  const fresh = cleaned(typed.value) && !project.labels.includes(cleaned(typed.value));
  return html`
    <form class="teach-form" onSubmit=${submit} noValidate>
      <${Field}
        label=${words.label}
        hint=${fresh ? words.newLabel : words.labelHint}
        problem=${problem.value}
        control=${(/** @type {object} */ tied) => html`<input ...${tied} list="known-labels" autocomplete="off" maxlength="200" data-testid="teach-label" value=${typed.value} onInput=${input} />`}
      />
      <datalist id="known-labels">${project.labels.map((label) => html`<option value=${label}></option>`)}</datalist>
      <div class="teach-actions">
        <button type="submit" class="primary" data-testid="teach-add" disabled=${!looking.pixels}><${Icon} name="plus" />${live ? words.addFrame : words.addOne}</button>
        ${live && html`<button type="button" data-testid="teach-record" aria-pressed=${record.left > 0} onClick=${() => (record.left ? record.stop() : under(record.start))}>${record.left ? words.recording(record.left) : words.record(RECORDED)}</button>`}
        ${!live && all.length > 1 && html`<button type="button" data-testid="teach-all" onClick=${() => under((label) => teaching.add(label, all.map(({ file }) => file)))}>${words.addAll(all.length)}</button>`}
      </div>
    </form>
    <${Progress} teaching=${teaching} status=${status} />
  `;
}

/** Frames of the camera, one after the other, until there are enough. @param {Looking} looking @param {Teaching} teaching @param {(ms: number) => Promise<void>} pause */
function useRecording(looking, teaching, pause) {
  const left = useSignal(0);
  const stream = useRef(looking.camera.state.stream);
  stream.current = looking.camera.state.stream;
  useEffect(() => () => void (stream.current = null), []);
  const start = async (/** @type {string} */ label) => {
    const begun = stream.current;
    for (left.value = RECORDED; left.value > 0 && begun && stream.current === begun; left.value -= 1) {
      teaching.add(label, [await begun.file()]);
      await pause(RECORD_MS);
    }
    left.value = 0;
  };
  return { left: left.value, start: (/** @type {string} */ label) => void start(label), stop: () => void (left.value = 0) };
}

/** @param {{teaching: Teaching, status: Status | null}} props */
function Progress({ teaching, status }) {
  const { waiting, sending, taught, problem, note } = teaching.state;
  const under = [...sending, ...waiting].length;
  return html`
    ${problem &&
    html`<${Problem}>
      ${problem} ${words.kept(waiting.length)} <button type="button" class="small" data-testid="teach-again" onClick=${teaching.again}>${words.again}</button>
      <button type="button" class="small plain" data-testid="teach-discard" onClick=${teaching.discard}>${words.discard}</button>
    <//>`}
    ${note && html`<${Hint}>${note}<//>`}
    <ul class="taught">
      ${taught.map(
        ({ label, added, since }) => html`<li data-testid="teach-row" data-label=${label} data-added=${added} data-state=${since < 0 ? "waiting" : "training"}>
          <strong>${label}</strong> <span>${words.pictures(added)}</span> <span class="taught-state">${since < 0 ? words.untilClose : words.inTraining(since, status?.state === "paused")}</span>
        </li>`,
      )}
      ${under > 0 && !problem && html`<li class="taught-state" data-testid="teach-sending">${words.sending(under)}</li>`}
    </ul>
  `;
}

/** @param {{env: Env, project: Project, onChanged: () => void}} props */
function Volunteers({ env, project, onChanged }) {
  const problem = useSignal("");
  const wished = useSignal(/** @type {boolean | null} */ (null)); // until the server has said what holds
  const allowed = project.settings.volunteers_teach === true;
  useEffect(() => void (wished.value = null), [allowed]);
  const change = (/** @type {any} */ event) => {
    wished.value = event.target.checked;
    problem.value = "";
    env.api.change(project.id, { volunteers_teach: event.target.checked }).then(onChanged, (error) => {
      problem.value = error.message;
      wished.value = null;
    });
  };
  return html`
    <label class="volunteers"><input type="checkbox" data-testid="teach-volunteers" checked=${wished.value ?? allowed} onChange=${change} /><span>${words.volunteers}</span></label>
    ${problem.value && html`<${Problem}>${problem.value}<//>`}
  `;
}
