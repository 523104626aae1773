// Small parts that every page uses: notices, state badges, dialogs, fields.
import { html, useEffect, useId, useRef, useSignal } from "./preact.js";
import { Icon } from "./icons.js";
import { text } from "./text.js";

/** @typedef {import("./preact.js").ComponentChildren} Children */

/** A sentence about something that went wrong, read out at once; `again` tries it once more. @param {{children?: Children, id?: string, again?: () => void, onDismiss?: () => void}} props */
export const Problem = ({ children, id = "problem", again, onDismiss }) => html`
  <div class="notice bad" role="alert">
    <${Icon} name="warn" />
    <p>${children} ${again && html`<button type="button" class="small" data-testid=${`${id}-again`} onClick=${again}>${text.again}</button>`}</p>
    ${onDismiss && html`<button type="button" class="quiet icon-only" data-testid=${`${id}-dismiss`} aria-label=${text.dismiss} onClick=${onDismiss}><${Icon} name="close" /></button>`}
  </div>
`;

/** Something to know, or what to do next. @param {{title?: string, children?: Children, id?: string, onDismiss?: () => void}} props */
export const Hint = ({ title, children, id = "hint", onDismiss }) => html`
  <div class="notice hint" role="status">
    <p>${title && html`<strong>${title}.</strong> `}${children}</p>
    ${onDismiss && html`<button type="button" class="quiet icon-only" data-testid=${`${id}-dismiss`} aria-label=${text.dismiss} onClick=${onDismiss}><${Icon} name="close" /></button>`}
  </div>
`;

/** @param {string} state */
const tone = (state) => (state === "running" || state === "reducing" ? "good" : state === "paused" ? "calm" : "idle");

/** A project's state in words. @param {{state: string}} props */
export const Badge = ({ state }) => html`
  <span class=${`badge ${tone(state)}`}><span class="dot" aria-hidden="true"></span>${text.state[state] ?? text.state.unknown}</span>
`;

const LONG = 400; // characters of a description, above which it scrolls, so that it has to be reachable by keyboard

/** What the owner says a project is. @param {{about: import("./types").About | null | undefined}} props */
export const About = ({ about }) =>
  about?.description
    ? html`<div class="about" data-testid="about" ...${about.description.length > LONG ? { tabIndex: 0, role: "region", "aria-label": text.about } : {}}>
        <p>${about.description}</p>
        ${about.author && html`<p class="about-by">${text.by(about.author)}</p>`}
      </div>`
    : null;

/**
 * The head of a page about one project: what it is about, the project's state, what can be done; and the way back.
 * @param {{id: string, title: string, lead: string, back: string, state: string | undefined, children?: Children}} props
 */
export const PageHead = ({ id, title, lead, back, state, children }) => html`
  <div class="page-head">
    <div class="title">
      <h1>${title}</h1>
      ${state && html`<${Badge} state=${state} />`}
      <p class="why">${lead}</p>
    </div>
    <div class="head-actions">
      ${children}
      <a class="button" href=${`/project/${encodeURIComponent(id)}`} data-testid="to-project"><${Icon} name="chart" />${back}</a>
    </div>
  </div>
`;

/**
 * One figure with its name and unit; its place never moves when it changes.
 * @param {{name: string, value: string, unit?: string, note?: string, hint?: string, id?: string, class?: string, children?: Children}} props
 */
export const Stat = ({ name, value, unit, note, hint, id, class: kind = "", children }) => html`
  <div class=${`stat ${kind}`} title=${hint}>
    <dt>${name}</dt>
    <dd>
      <span class="figure" data-testid=${id}>${value}</span>${unit && html`<span class="unit">${unit}</span>`}
      <span class="note">${note || "\u00a0"}</span>
      ${children}
    </dd>
  </div>
`;

/**
 * A labelled control; a hint or a problem is tied to it for screen readers.
 * @param {{label: string, hint?: string, problem?: string, class?: string, control: (attributes: {id: string, "aria-describedby"?: string, "aria-invalid"?: "true"}) => Children}} props
 */
export function Field({ label, hint, problem, class: kind = "", control }) {
  const id = useId();
  const described = hint || problem ? `${id}-note` : undefined;
  return html`
    <div class=${`field ${kind}`}>
      <label for=${id}>${label}</label>
      ${control({ id, "aria-describedby": described, "aria-invalid": problem ? "true" : undefined })}
      ${described && html`<p class=${problem ? "field-note bad" : "field-note"} id=${described} role=${problem ? "alert" : undefined}>${problem || hint}</p>`}
    </div>
  `;
}

/**
 * A modal dialog; Escape and a click beside it close it.
 * @param {{open: boolean, onClose: () => void, title: string, class?: string, children?: Children}} props
 */
export function Dialog({ open, onClose, title, class: kind = "", children }) {
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const id = useId();
  useEffect(() => {
    if (open && !box.current?.open) box.current?.showModal();
    if (!open && box.current?.open) box.current.close();
  }, [open]);
  return html`
    <dialog
      ref=${box}
      class=${kind}
      aria-labelledby=${id}
      onClose=${onClose}
      onMouseDown=${(/** @type {MouseEvent} */ event) => event.target === box.current && onClose()}
    >
      ${open &&
      html`<div class="dialog-body">
        <header class="dialog-head">
          <h2 id=${id}>${title}</h2>
          <button type="button" class="quiet icon-only" data-testid="close" aria-label=${text.close} onClick=${onClose}><${Icon} name="close" /></button>
        </header>
        ${children}
      </div>`}
    </dialog>
  `;
}

/**
 * A panel that folds; what is in it is fetched when it is first opened.
 * @param {{title: string, id: string, load: () => Promise<any>, props: object}} props
 */
export function LaterPanel({ title, id, load, props }) {
  const part = useSignal(/** @type {{Part: any} | null} */ (null));
  const open = useSignal(false);
  const failed = useSignal(false);
  const fetchPart = () => {
    failed.value = false;
    void load().then(
      (Part) => (part.value = { Part }),
      () => (failed.value = true),
    );
  };
  const toggled = (/** @type {Event} */ event) => {
    open.value = /** @type {HTMLDetailsElement} */ (event.currentTarget).open;
    if (open.value && !part.value) fetchPart();
  };
  return html`
    <details class="panel folding" data-testid=${id} onToggle=${toggled}>
      <summary><h2>${title}</h2><${Icon} name="chevron" /></summary>
      ${open.value &&
      (part.value
        ? html`<${part.value.Part} ...${props} />`
        : html`<div class="panel-body">
            ${failed.value
              ? html`<${Problem} id="fold" again=${fetchPart}>${text.unloaded}<//>`
              : html`<p class="quiet-line" role="status">${text.loading}</p>`}
          </div>`)}
    </details>
  `;
}

/**
 * Ask before something is lost.
 * @param {{open: boolean, title: string, yes: string, busy?: boolean, problem?: string, onYes: () => void, onClose: () => void, children?: Children}} props
 */
export const Confirm = ({ open, title, yes, busy, problem, onYes, onClose, children }) => html`
  <${Dialog} open=${open} onClose=${onClose} title=${title} class="confirm">
    <p class="dialog-text">${children}</p>
    ${problem && html`<${Problem}>${problem}<//>`}
    <div class="dialog-foot">
      <button type="button" class="plain" data-testid="cancel" onClick=${onClose}>${text.cancel}</button>
      <button type="button" class="danger" data-testid="confirm" disabled=${busy} onClick=${onYes}>${yes}</button>
    </div>
  <//>
`;
