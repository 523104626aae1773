// What the classify page speaks about.
import type { Rgba } from "../../resize.js";

/** A picture that a person chose, upright. */
export interface Picture {
  id: number;
  name: string;
  /** The file as it is: what teaching sends. */
  file: Blob;
  /** For an <img>. */
  url: string;
  /** As the network takes it, [y][x][channel]. */
  input: Uint8Array;
}

/** What the network says of one input. */
export interface Answer {
  iteration: number;
  labels: string[];
  probabilities: Float32Array;
}

/** What a layer computes, [y][x][channel], or a block of parameters. */
export interface Values {
  name: string;
  shape: number[];
  values: Float32Array;
}

export interface Snapshot {
  iteration: number;
  labels: string[];
  layers: { name: string; shape: number[] }[];
  blocks: { name: string; shape: number[] }[];
}

/** How pictures become the network's input. */
export interface Input {
  width: number;
  height: number;
  channels: number;
  mode: "crop" | "fit" | "stretch";
}

export interface Stream {
  /** Resolves with the newest frame, once the camera gives one. */
  frame(): Promise<Rgba>;
  /** The newest frame as a file. */
  file(): Promise<Blob>;
  /** Show it in an element of the page. */
  show(element: HTMLVideoElement): void;
  stop(): void;
}

/** What entry/classify.js gives to this page: the only way from here to pictures, cameras and zips. */
export interface Device {
  /** Null where the browser gives no page served like this a camera. */
  camera: ((turn: number, onEnded: () => void) => Promise<Stream>) | null;
  /** How many cameras there are; the browser tells after one was allowed. */
  cameras(): Promise<number>;
  /** Decode a picture, upright; throws when it is none. */
  decode(file: Blob): Promise<Rgba>;
  url(file: Blob): string;
  forget(url: string): void;
  /** Be told when the tab is hidden; call the result to be told no more. */
  onHidden(told: () => void): () => void;
  /** Wait until the browser is to draw again, and so long at least. */
  pause(ms: number): Promise<void>;
}
