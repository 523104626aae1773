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

/**
 * Send zips, one at a time; what they are to become is asked for when one is taken.
 * @param {Env} env
 * @param {() => {size: import("./types").Size, options: import("./types").UploadOptions}} wish
 * @param {(report: Report) => Promise<unknown>} arrived what is done with a data set before it is told
 */
export function useSending(env, wish, arrived) {
  const state = useSignal(IDLE);
  const set = (/** @type {Partial<State>} */ change) => (state.value = { ...state.value, ...change });
  const cancel = useRef(() => {});
  const failed = (/** @type {Error} */ error) => set({ ...IDLE, problem: error.message });
  /** @param {Report} report */
  const arrive = async (report) => {
    set({ stage: "attaching" });
    await arrived(report);
    set({ ...IDLE, report });
    env.said.value = words.done(report.name, report.images, report.labels.length);
  };
  /** @param {File} file */
  const send = async (file) => {
    set({ ...IDLE, stage: "sending", name: file.name });
    const { size, options } = wish();
    const sending = env.api.upload(file, size, options, set);
    cancel.current = sending.cancel;
    const report = await sending.report;
    if (report) return arrive(report);
    set(IDLE);
    env.said.value = words.cancelled(file.name);
  };
  return {
    state: state.value,
    cancel: () => cancel.current(),
    /** @param {FileList | null | undefined} files */
    take(files) {
      if (!files?.length || state.value.stage !== "idle") return;
      if (files.length > 1) return failed(new Error(words.one));
      if (!/\.zip$/i.test(files[0].name)) return failed(new Error(words.notZip(files[0].name)));
      void send(files[0]).catch(failed);
    },
    /** Take a data set that is on the server, once it is ready. @param {string} name @param {() => Promise<Report>} ready */
    took(name, ready) {
      set({ ...IDLE, stage: "attaching", name });
      void ready().then(arrive).catch(failed);
    },
  };
}

/**
 * @param {Env} env @param {Project | null} project until it is known nothing is taken @param {() => void} onAttached
 * @param {(report: Report) => Promise<unknown>} hand gives the project what was uploaded: to train on, unless told otherwise
 */
export function useUpload(env, project, onAttached, hand = (report) => env.api.attach(project?.id ?? "", report.id)) {
  const mode = useSignal("crop");
  const size = () => inputSize(project?.layers ?? []);
  const sending = useSending(
    env,
    () => ({ size: size(), options: { mode: mode.value } }),
    (report) => hand(report).then(onAttached),
  );
  return {
    ...sending,
    mode,
    /** Use a data set that the server has; a cut of this project's size is made where there is none. @param {Report} report */
    use(report) {
      const { width, height, channels } = size();
      const fits = report.cuts.some((cut) => cut.width === width && cut.height === height && cut.channels === channels);
      sending.took(report.name, () => (fits ? Promise.resolve(report) : env.api.cut(report.id, size(), {})));
    },
  };
}

/** @typedef {Pick<ReturnType<typeof useSending>, "state" | "take" | "cancel">} Sender */

/** @param {{project: Project, upload: ReturnType<typeof useUpload>, large?: boolean, title?: string, how?: string, testid?: string}} props */
export function DropZone({ project, upload, ...look }) {
  const { width, height, channels } = inputSize(project.layers);
  return html`<${Drop} upload=${upload} note=${words.fit(width, height, channels)} ...${look}><${Mode} mode=${upload.mode} /><//>`;
}

/** Where a zip is dropped or chosen, and how far it is. @param {{upload: Sender, note?: string, large?: boolean, title?: string, how?: string, testid?: string, children?: import("./preact.js").ComponentChildren}} props */
export function Drop({ upload, note, large, title = words.drop, how = words.how, testid = "upload-file", children }) {
  const over = useSignal(false);
  const id = useId();
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
            <p class="drop-title">${over.value ? words.dropNow : title}</p>
            <p class="drop-how">${how} ${note}</p>
            <div class="drop-actions">
              <input id=${id} class="sr-only" type="file" accept=".zip,application/zip" data-testid=${testid} aria-label=${words.choose} onChange=${choose} />
              <label class="button" for=${id}>${words.choose}</label>
              ${children}
            </div>`
        : html`<${Progress} state=${upload.state} cancel=${upload.cancel} />`}
    </div>
  `;
}

/** What became of it, good or bad. @param {{upload: Sender}} props */
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
