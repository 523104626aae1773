// The link with which others lend their devices.
import { Icon } from "./icons.js";
import { html, useRef, useSignal } from "./preact.js";
import { text } from "./text.js";

const words = text.invite;

/** @param {{env: import("./types").Env, id: string}} props */
export function Invite({ env, id }) {
  const outcome = useSignal("");
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const open = env.config.invite_url !== ""; // else only this computer reaches the server
  const link = `${env.config.invite_url || env.origin}/join/${encodeURIComponent(id)}`;
  const code = useSignal("");
  const showCode = async () => {
    if (code.value) return void (code.value = "");
    await import("./qrcode.js").then(
      ({ default: qrcode }) => (code.value = pathOf(qrcode(0, "M"), link)),
      () => (outcome.value = words.qrFailed),
    );
  };
  const copy = async () => {
    const done = await env.copy(link);
    outcome.value = done ? words.copied : words.manual;
    if (!done) field.current?.select();
  };
  return html`
    <section class="panel" aria-labelledby="invite-title">
      <div class="panel-head"><h2 id="invite-title">${words.title}</h2></div>
      <p class="panel-lead" data-testid="invite-lead">${open ? words.lead : words.closed}</p>
      <div class="invite-row">
        <input ref=${field} type="text" readonly aria-label=${words.link} data-testid="invite-link" value=${link} onFocus=${() => field.current?.select()} />
        <button type="button" data-testid="copy-link" onClick=${copy}><${Icon} name="link" />${words.copy}</button>
        ${open &&
        html`<button type="button" class="icon-only" data-testid="show-qr" aria-label=${words.qr} title=${words.qr} aria-expanded=${code.value ? "true" : "false"} onClick=${showCode}><${Icon} name="qr" /></button>`}
      </div>
      ${code.value && html`<${Code} path=${code.value} label=${words.qrOf(link)} />`}
      <p class="invite-note" role="status">${outcome.value}</p>
    </section>
  `;
}

const QUIET = 4; // modules of white around the code, as ISO/IEC 18004 wants

/** The dark modules of a QR code as an SVG path, one square each. @param {ReturnType<typeof import("./qrcode.js").default>} code @param {string} words */
function pathOf(code, words) {
  code.addData(words);
  code.make();
  const side = code.getModuleCount();
  const squares = [];
  for (let y = 0; y < side; y += 1) for (let x = 0; x < side; x += 1) if (code.isDark(y, x)) squares.push(`M${x + QUIET} ${y + QUIET}h1v1h-1z`);
  return `${side + 2 * QUIET} ${squares.join("")}`;
}

/** @param {{path: string, label: string}} props the side of the square, then the path */
function Code({ path, label }) {
  const side = path.slice(0, path.indexOf(" "));
  return html`<svg class="qr" data-testid="qr" role="img" aria-label=${label} viewBox=${`0 0 ${side} ${side}`} shape-rendering="crispEdges">
    <path d=${path.slice(side.length + 1)} />
  </svg>`;
}
