// Line icons, 16 by 16, drawn here; they are decoration: the words beside them carry the meaning.
import { html } from "./preact.js";

/** @type {Record<string, string>} */
const PATHS = {
  plus: "M8 3v10M3 8h10",
  play: "M5 3.2v9.6L12.5 8z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  close: "M4 4l8 8M12 4l-8 8",
  reboot: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v2.6h-2.6",
  bin: "M3 4.5h10M6.5 4.5v-2h3v2M4.5 4.5l.6 9h5.8l.6-9",
  download: "M8 2.5v7.5M4.8 7.2 8 10.4l3.2-3.2M3 13.5h10",
  upload: "M8 10.5V3M4.8 5.9 8 2.7l3.2 3.2M3 13.5h10",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  camera: "M2 5h2.6l1.2-1.8h4.4L11.4 5H14v8H2zM8 11.2a2.4 2.4 0 1 0 0-4.8 2.4 2.4 0 0 0 0 4.8z",
  photo: "M2.5 3h11v10h-11zM2.5 11l3.5-3.5 2.5 2.5 2-2 3 3M10.2 6.2v.1",
  chart: "M2.5 2.5v11h11M5 10.5l2.5-3 2 1.5 3.5-5",
  check: "M3.5 8.5l3 3 6-7",
  warn: "M8 2.2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.2",
  link: "M6.7 9.3a2.6 2.6 0 0 0 3.7 0l2.2-2.2a2.6 2.6 0 0 0-3.7-3.7l-.8.8M9.3 6.7a2.6 2.6 0 0 0-3.7 0L3.4 8.9a2.6 2.6 0 0 0 3.7 3.7l.8-.8",
  qr: "M2.5 2.5h4v4h-4zM9.5 2.5h4v4h-4zM2.5 9.5h4v4h-4zM9.5 9.5h1.5v1.5M13.5 9.5v4h-4M13.5 13.5v.1",
  arrow: "M3 8h9.5M9 4.5 12.5 8 9 11.5",
  chevron: "M4.5 6.5 8 10l3.5-3.5",
};

/** @param {{name: string, solid?: boolean}} props */
export const Icon = ({ name, solid }) => html`
  <svg class=${solid ? "icon solid" : "icon"} viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false">
    <path d=${PATHS[name]} />
  </svg>
`;

/** The mark: three devices send to one network. */
export const Mark = () => html`
  <svg class="mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false">
    <path d="M5 5.5 12 12M19 5.5 12 12M12 12v7" />
    <circle cx="5" cy="5.5" r="2.4" />
    <circle cx="19" cy="5.5" r="2.4" />
    <circle cx="12" cy="19" r="2.4" />
    <circle class="core" cx="12" cy="12" r="3.6" />
  </svg>
`;
