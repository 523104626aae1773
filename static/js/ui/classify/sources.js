// Where pictures come from: files, a drop, a photo, the camera.
import { Icon } from "../icons.js";
import { Hint, Problem } from "../parts.js";
import { html, useEffect, useId, useRef, useSignal } from "../preact.js";
import { words } from "./text.js";

/** @typedef {import("./pictures.js").Looking} Looking @typedef {import("./types").Picture} Picture */

/** @param {{looking: Looking, live: boolean, ready: boolean}} props `live`: the browser may give this page a camera */
export function Sources({ looking, live, ready }) {
  const { pictures, camera } = looking;
  const over = useSignal(false);
  const take = (/** @type {FileList | null | undefined} */ files) => {
    if (!files?.length || !ready) return;
    camera.stop();
    void pictures.take(files);
  };
  const drag = (/** @type {boolean} */ inside) => (/** @type {Event} */ event) => {
    event.preventDefault();
    over.value = inside;
  };
  const drop = (/** @type {DragEvent} */ event) => {
    drag(false)(event);
    take(event.dataTransfer?.files);
  };
  const shown = pictures.shown;
  const pick = (/** @type {number} */ id) => {
    camera.stop();
    pictures.pick(id);
  };
  return html`
    <section class="panel" aria-labelledby="picture-title">
      <div class="panel-head"><h2 id="picture-title">${words.picture}</h2>${pictures.all.length > 1 && html`<span class="panel-note">${words.chosen(pictures.all.length)}</span>`}</div>
      <div class=${`stage ${over.value ? "over" : ""}`} data-testid="stage" onDragEnter=${drag(true)} onDragOver=${drag(true)} onDragLeave=${drag(false)} onDrop=${drop}>
        ${camera.state.stream
          ? html`<${Video} stream=${camera.state.stream} />`
          : shown
            ? html`<img class="stage-picture" src=${shown.url} alt=${words.shown(shown.name)} />`
            : html`<div class="stage-empty"><${Icon} name="photo" /><p class="drop-title">${over.value ? words.dropNow : words.drop}</p><p class="drop-how">${words.how}</p></div>`}
      </div>
      <div class="source-actions">
        <${FileButton} id="choose-pictures" icon="photo" label=${words.choose} take=${take} multiple disabled=${!ready} primary />
        <${FileButton} id="take-photo" icon="camera" label=${words.photo} take=${take} capture disabled=${!ready} />
        ${live && html`<${CameraButtons} camera=${camera} ready=${ready} />`}
      </div>
      ${!live && html`<p class="field-note" data-testid="no-live">${words.insecure}</p>`}
      ${camera.state.notice && html`<${Hint} id="camera" onDismiss=${camera.stop}>${camera.state.notice}<//>`}
      ${pictures.problems.map((problem) => html`<${Problem}>${problem}<//>`)}
      ${pictures.all.length > 1 && html`<${Strip} all=${pictures.all} shown=${camera.state.stream ? null : shown} pick=${pick} />`}
    </section>
  `;
}

/** A button that opens the file chooser, or on phones the camera. @param {{id: string, icon: string, label: string, take: (files: FileList | null) => void, multiple?: boolean, capture?: boolean, disabled: boolean, primary?: boolean}} props */
function FileButton({ id, icon, label, take, multiple = false, capture = false, disabled, primary = false }) {
  const name = useId();
  const choose = (/** @type {Event} */ event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    take(input.files);
    input.value = "";
  };
  return html`
    <span class="file-button">
      <input id=${name} class="sr-only" type="file" accept="image/*" multiple=${multiple} capture=${capture ? "environment" : undefined} disabled=${disabled} data-testid=${id} aria-label=${label} onChange=${choose} />
      <label class=${`button ${primary ? "primary" : ""}`} for=${name}><${Icon} name=${icon} />${label}</label>
    </span>
  `;
}

/** @param {{camera: Looking["camera"], ready: boolean}} props */
function CameraButtons({ camera, ready }) {
  const { stream, busy, several } = camera.state;
  if (!stream) return html`<button type="button" data-testid="camera" disabled=${busy || !ready} onClick=${camera.start}><${Icon} name="play" />${words.camera}</button>`;
  return html`
    <button type="button" data-testid="camera-stop" onClick=${camera.stop}><${Icon} name="pause" />${words.stop}</button>
    ${several && html`<button type="button" class="plain" data-testid="camera-next" onClick=${camera.next}>${words.other}</button>`}
  `;
}

/** @param {{stream: import("./types").Stream}} props */
function Video({ stream }) {
  const box = useRef(/** @type {HTMLVideoElement | null} */ (null));
  useEffect(() => void (box.current && stream.show(box.current)), [stream]);
  return html`<video class="stage-picture" ref=${box} muted playsInline autoplay aria-label=${words.live} data-testid="video"></video>`;
}

/** The chosen pictures, to look at one after the other. @param {{all: Picture[], shown: Picture | null, pick: (id: number) => void}} props */
const Strip = ({ all, shown, pick }) => html`
  <ul class="thumbs">
    ${all.map(
      ({ id, name, url }) => html`<li>
        <button type="button" class="thumb" data-testid="thumb" aria-label=${words.pick(name)} aria-pressed=${id === shown?.id} title=${name} onClick=${() => pick(id)}><img src=${url} alt="" /></button>
      </li>`,
    )}
  </ul>
`;
