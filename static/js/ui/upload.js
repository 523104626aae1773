// From a zip on this device to a project's data: sent with real progress (sending.js), the server's check, the report.
import { Icon } from "./icons.js";
import { Problem } from "./parts.js";
import { html, useId, useRef, useSignal } from "./preact.js";
import { inputSize } from "./shapes.js";
import { text } from "./text.js";

/** @typedef {import("./types").Env} Env @typedef {import("./types").Project} Project @typedef {import("./types").Report} Report */
/** @typedef {{stage: "idle" | "attaching" | import("./types").Told["stage"], name: string, share: number, ahead: number, problem: string, report: Report | null}} State */

const words = text.data;
/** @type {State} */
const IDLE = { stage: "idle", name: "", share: 0, ahead: 0, problem: "", report: null };
const SHOWN_SKIPPED = 20; // enough to see a pattern; the counts by reason tell the rest

/** @param {Env} env @param {Project | null} project until it is known nothing is taken @param {() => void} onAttached */
export function useUpload(env, project, onAttached) {
  const state = useSignal(IDLE);
  const mode = useSignal("crop");
  const set = (/** @type {Partial<State>} */ change) => (state.value = { ...state.value, ...change });
  const size = () => inputSize(project?.layers ?? []);
  const cancel = useRef(() => {});
  /** @param {File} file */
  const send = async (file) => {
    set({ ...IDLE, stage: "sending", name: file.name });
    const sending = env.api.upload(file, size(), { mode: mode.value, validation: "" }, set);
    cancel.current = sending.cancel;
    const report = await sending.report;
    if (report) return attach(report);
    set(IDLE);
    env.said.value = words.cancelled(file.name);
  };
  /** @param {Report} report */
  const attach = async (report) => {
    set({ stage: "attaching" });
    await env.api.attach(project?.id ?? "", report.id);
    set({ ...IDLE, report });
    env.said.value = words.done(report.name, report.images, report.labels.length);
    onAttached();
  };
  const failed = (/** @type {Error} */ error) => set({ ...IDLE, problem: error.message });
  return {
    state: state.value,
    mode,
    cancel: () => cancel.current(),
    /** @param {FileList | null | undefined} files */
    take(files) {
      if (!files?.length || state.value.stage !== "idle") return;
      if (files.length > 1) return failed(new Error(words.one));
      if (!/\.zip$/i.test(files[0].name)) return failed(new Error(words.notZip(files[0].name)));
      void send(files[0]).catch(failed);
    },
    /** Use a data set that the server has; a cut of this project's size is made where there is none. @param {Report} report */
    use(report) {
      const { width, height, channels } = size();
      const fits = report.cuts.some((cut) => cut.width === width && cut.height === height && cut.channels === channels);
      set({ ...IDLE, stage: "attaching", name: report.name });
      const ready = fits ? Promise.resolve(report) : env.api.cut(report.id, size());
      void ready.then(attach).catch(failed);
    },
  };
}

/** @param {{project: Project, upload: ReturnType<typeof useUpload>, large?: boolean}} props */
export function DropZone({ project, upload, large }) {
  const over = useSignal(false);
  const id = useId();
  const size = inputSize(project.layers);
  const { stage } = upload.state;
  const drag = (/** @type {boolean} */ inside) => (/** @type {Event} */ event) => {
    event.preventDefault();
    over.value = inside;
  };
  const drop = (/** @type {DragEvent} */ event) => {
    drag(false)(event);
    upload.take(event.dataTransfer?.files);
  };
  const choose = (/** @type {Event} */ event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    upload.take(input.files);
    input.value = "";
  };
  return html`
    <div class=${`drop ${large ? "large" : ""} ${over.value ? "over" : ""}`} onDragEnter=${drag(true)} onDragOver=${drag(true)} onDragLeave=${drag(false)} onDrop=${drop}>
      ${stage === "idle"
        ? html`<${Icon} name="upload" />
            <p class="drop-title">${over.value ? words.dropNow : words.drop}</p>
            <p class="drop-how">${words.how} ${words.fit(size.width, size.height, size.channels)}</p>
            <div class="drop-actions">
              <label class="button" for=${id}>${words.choose}</label>
              <input id=${id} class="sr-only" type="file" accept=".zip,application/zip" data-testid="upload-file" aria-label=${words.choose} onChange=${choose} />
              <${Mode} mode=${upload.mode} />
            </div>`
        : html`<${Progress} state=${upload.state} cancel=${upload.cancel} />`}
    </div>
  `;
}

/** What became of it, good or bad. @param {{upload: ReturnType<typeof useUpload>}} props */
export const Outcome = ({ upload }) => html`
  ${upload.state.problem && html`<${Problem}>${upload.state.problem}<//>`} ${upload.state.report && html`<${ReportView} report=${upload.state.report} />`}
`;

/** @param {{mode: import("./preact.js").Signal<string>}} props */
const Mode = ({ mode }) => html`
  <select aria-label=${words.mode} title=${words.mode} value=${mode.value} onChange=${(/** @type {any} */ event) => (mode.value = event.target.value)}>
    ${Object.entries(words.modes).map(([value, name]) => html`<option value=${value}>${name}</option>`)}
  </select>
`;

/** @param {State} state */
function progressLine({ stage, name, share, ahead }) {
  if (stage === "sending") return words.uploading(name, share);
  if (stage === "waiting") return words.waiting(name);
  if (stage === "reading" && ahead) return words.queued(name, ahead);
  if (stage === "reading") return words.reading(name, share);
  return stage === "cancelling" ? words.cancelling : words.attaching;
}

/** @param {{state: State, cancel: () => void}} props */
function Progress({ state, cancel }) {
  const { stage, share } = state;
  const line = progressLine(state);
  const known = stage === "sending" || stage === "waiting" || (stage === "reading" && share > 0);
  const stoppable = known || stage === "reading";
  return html`
    <p class="drop-title" role="status">${line}</p>
    <progress data-testid="upload-progress" data-stage=${stage} aria-label=${line} max="100" value=${known ? Math.round(share * 100) : undefined}></progress>
    ${stoppable && html`<div class="drop-actions"><button type="button" data-testid="upload-cancel" onClick=${cancel}>${words.cancel}</button></div>`}
  `;
}

/** What became of an upload. @param {{report: Report}} props */
export const ReportView = ({ report }) => html`
  <div class="report" data-testid="upload-report" role="status">
    <p class="good-line">
      <${Icon} name="check" />${words.done(report.name, report.images, report.labels.length)} ${report.known ? words.known : ""}
      ${report.duplicates ? words.duplicates(report.duplicates) : ""}
    </p>
    ${report.skipped.total > 0 &&
    html`<details class="skipped">
      <summary>${words.skipped(report.skipped.total)}: ${Object.entries(report.skipped.reasons).map(([reason, n]) => `${reason} (${n})`).join(", ")}</summary>
      <ul>
        ${report.skipped.files.slice(0, SHOWN_SKIPPED).map(({ name, reason }) => html`<li><code>${name}</code> ${reason}</li>`)}
        ${report.skipped.total > SHOWN_SKIPPED && html`<li>${words.skippedMore(report.skipped.total - SHOWN_SKIPPED)}</li>`}
      </ul>
    </details>`}
  </div>
`;
