// What is looked at: chosen pictures, or the camera's newest frame; as the network takes it, and what it says of it.
// - A picture's answer follows the newest parameters; the camera asks again when it was answered, so nothing piles up.
// - The camera stops when the page is left and when its tab is hidden: its light tells who is watched.
import { toInput } from "../../resize.js";
import { useEffect, useRef, useSignal } from "../preact.js";
import { sentence } from "../text.js";
import { NotYet } from "./asking.js";
import { words } from "./text.js";

/** @typedef {import("./types").Device} Device @typedef {import("./types").Input} Input @typedef {import("./types").Picture} Picture @typedef {import("./types").Stream} Stream */
/** @typedef {{env: import("../types").Env, device: Device, network: import("./asking.js").Network, input: Input | null}} Around */
/** @typedef {{turn: number, busy: boolean, stream: Stream | null, notice: string, several: boolean}} Camera */

const MOST_BYTES = 64_000_000; // as the data server
const FRAME_MS = 80; // a person sees no more of changing bars, and a phone stays cool

/** @type {Camera} */
const OFF = { turn: 0, busy: false, stream: null, notice: "", several: false };

/** @param {Around} around */
export function useLooking({ env, device, network, input }) {
  const pictures = usePictures(device, input);
  const camera = useCamera(device);
  const answer = useSignal(/** @type {import("./types").Answer | null} */ (null));
  const frame = useSignal(/** @type {Uint8Array | null} */ (null));
  const trouble = useSignal("");
  const { stream } = camera.state;
  const picture = stream ? null : pictures.shown;

  /** @param {Uint8Array} pixels */
  const ask = async (pixels) => {
    try {
      answer.value = await network.classify(pixels);
      trouble.value = "";
      return answer.value;
    } catch (error) {
      if (!(error instanceof NotYet)) trouble.value = sentence(/** @type {Error} */ (error).message);
      return null;
    }
  };
  useEffect(() => {
    if (!stream || !input) return;
    let on = true;
    const look = async () => {
      while (on) {
        frame.value = toInput(await stream.frame(), input, input.mode);
        await ask(frame.value);
        await device.pause(FRAME_MS);
      }
    };
    void look();
    return () => {
      on = false;
      frame.value = null;
      answer.value = null;
    };
  }, [stream]);
  const said = useRef(-1);
  useEffect(() => {
    if (!picture) return;
    let still = true;
    void ask(picture.input).then((told) => {
      if (!told || !still || said.current === picture.id) return;
      said.current = picture.id;
      const [first] = ranked(told);
      env.said.value = words.best(first.label, first.probability);
    });
    return () => void (still = false);
  }, [picture, network.snapshot.value]);
  return {
    pictures,
    camera,
    /** As the network takes it. */
    pixels: stream ? frame.value : picture?.input ?? null,
    answer: stream || picture ? answer.value : null,
    trouble: trouble.value,
    /** What is looked at, as a file to be taught. @returns {Promise<Blob> | null} */
    file: () => (stream ? stream.file() : picture ? Promise.resolve(picture.file) : null),
  };
}

/** @typedef {ReturnType<typeof useLooking>} Looking */

/** All outputs, most probable first; of equal ones the earlier. @param {import("./types").Answer} answer */
export function ranked({ labels, probabilities }) {
  const named = [...probabilities].map((probability, i) => ({ label: labels[i] ?? words.spare(i), known: i < labels.length, probability }));
  return named.sort((a, b) => b.probability - a.probability);
}

/** @param {Device} device @param {Input | null} input */
function usePictures(device, input) {
  const all = useSignal(/** @type {Picture[]} */ ([]));
  const at = useSignal(-1);
  const problems = useSignal(/** @type {string[]} */ ([]));
  const numbers = useRef(0);
  const clear = () => {
    for (const { url } of all.value) device.forget(url);
    all.value = [];
    problems.value = [];
  };
  useEffect(() => clear, []);
  /** @param {File} file @param {Input} wanted */
  const read = async (file, wanted) => {
    const name = file.name || words.picture;
    if (file.size > MOST_BYTES) throw new Error(words.tooLarge(name));
    const pixels = await device.decode(file).catch(() => {
      throw new Error(words.notPicture(name));
    });
    return { id: ++numbers.current, name, file, url: device.url(file), input: toInput(pixels, wanted, wanted.mode) };
  };
  return {
    all: all.value,
    shown: all.value.find(({ id }) => id === at.value) ?? null,
    problems: problems.value,
    clear,
    pick: (/** @type {number} */ id) => void (at.value = id),
    /** Show these pictures instead of those before. @param {Iterable<File>} files */
    async take(files) {
      if (!input) return;
      clear();
      for (const file of [...files]) {
        try {
          const picture = await read(file, input);
          all.value = [...all.value, picture];
          if (all.value.length === 1) at.value = picture.id;
        } catch (error) {
          problems.value = [...problems.value, /** @type {Error} */ (error).message];
        }
      }
    },
  };
}

/** @param {unknown} error of getUserMedia */
function whyNot(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return words.denied;
  return name === "NotFoundError" || name === "OverconstrainedError" ? words.noCamera : words.busy;
}

/** @param {Device} device */
function useCamera(device) {
  const state = useSignal(OFF);
  const here = useRef(true);
  /** @param {string} [notice] why it stopped, where that was not wished */
  const stop = (notice = "") => {
    const { stream, several } = state.value;
    stream?.stop();
    if (stream || notice || state.value.notice) state.value = { ...OFF, several, notice: stream ? notice : "" };
  };
  /** @param {number} turn */
  const start = async (turn) => {
    stop();
    state.value = { ...state.value, busy: true, notice: "" };
    try {
      const stream = await /** @type {NonNullable<Device["camera"]>} */ (device.camera)(turn, () => stop(words.ended));
      if (!here.current) return stream.stop(); // the page was left meanwhile
      state.value = { turn, busy: false, stream, notice: "", several: (await device.cameras()) > 1 };
    } catch (error) {
      state.value = { ...OFF, notice: whyNot(error) };
    }
  };
  useEffect(() => {
    const deaf = device.onHidden(() => stop(words.hidden));
    return () => {
      here.current = false;
      deaf();
      stop();
    };
  }, []);
  return {
    state: state.value,
    start: () => start(0),
    next: () => start(state.value.turn + 1),
    stop: () => stop(),
  };
}
