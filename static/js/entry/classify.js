// The classify page's entry, fetched when the page is first opened: pictures, cameras and zips as the browser gives them.
// Canvas is for looking only: what is taught is sent as the file it is and decoded by the data server.
import { ClassifyPage as Page } from "../ui/classify/page.js";
import { words } from "../ui/classify/text.js";
import { html } from "../ui/preact.js";
import { styled } from "./style.js";

/** @typedef {import("../ui/classify/types").Stream} Stream */

const MOST_PIXELS = 16_000_000; // what every browser's canvas holds; a larger photo is halved first
const QUALITY = 0.95; // of a frame that is taught: a twentieth of its pixels' size
const CAMERA = { width: { ideal: 640 }, height: { ideal: 480 } };

const canvas = document.createElement("canvas");
const paint = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));

/** @param {CanvasImageSource} source @param {number} fullWidth @param {number} fullHeight */
function pixelsOf(source, fullWidth, fullHeight) {
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (fullWidth * fullHeight)));
  const [width, height] = [fullWidth, fullHeight].map((side) => Math.max(1, Math.floor(side * scale)));
  Object.assign(canvas, { width, height });
  paint.drawImage(source, 0, 0, width, height);
  return paint.getImageData(0, 0, width, height);
}

/** An image element turns a picture as its EXIF says, in every browser of the baseline. @param {Blob} file */
async function decode(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
    return pixelsOf(image, image.naturalWidth, image.naturalHeight);
  } finally {
    URL.revokeObjectURL(image.src);
  }
}

const cameras = async () => (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");

/** @param {number} turn which camera: 0 the one that looks away from the person, if it is known @param {() => void} onEnded @returns {Promise<Stream>} */
async function camera(turn, onEnded) {
  const known = turn ? await cameras() : [];
  const which = known.length ? { deviceId: { exact: known[turn % known.length].deviceId } } : { facingMode: "environment" };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: false, video: { ...CAMERA, ...which } });
  const video = document.createElement("video");
  Object.assign(video, { srcObject: stream, muted: true, playsInline: true });
  for (const track of stream.getTracks()) track.addEventListener("ended", onEnded);
  await video.play();
  let shown = video; // some browsers play only what is on the page
  const now = () => {
    const from = shown.videoWidth ? shown : video;
    return pixelsOf(from, from.videoWidth, from.videoHeight);
  };
  return {
    frame: async () => now(),
    file: () => {
      now();
      return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error(words.notKept))), "image/jpeg", QUALITY));
    },
    show: (element) => {
      shown = element;
      element.srcObject = stream;
      void element.play().catch(() => null); // it begins by itself once it is seen
    },
    stop: () => {
      for (const track of stream.getTracks()) track.stop();
      video.srcObject = null;
    },
  };
}

/** @param {() => void} told */
function onHidden(told) {
  const look = () => document.visibilityState === "hidden" && told();
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", told);
  return () => {
    document.removeEventListener("visibilitychange", look);
    removeEventListener("pagehide", told);
  };
}

/** @type {import("../ui/classify/types").Device} */
const device = {
  camera: "mediaDevices" in navigator ? camera : null,
  cameras: async () => (await cameras()).length,
  decode,
  url: (file) => URL.createObjectURL(file),
  forget: (url) => URL.revokeObjectURL(url),
  onHidden,
  pause: (ms) => new Promise((resolve) => setTimeout(() => requestAnimationFrame(() => resolve()), ms)),
};

await styled(new URL("../../css/classify.css", import.meta.url).pathname);

/** @param {{env: import("../ui/types").Env, id: string}} props */
export const ClassifyPage = (props) => html`<${Page} device=${device} ...${props} />`;
