// What the pages speak about. Names and units are those of docs/architecture.md.
import type { Signal, ReadonlySignal } from "./preact.js";

export type Layer = { type: string; name?: string; [option: string]: unknown };

export type Settings = { period?: number; [name: string]: unknown };

export interface Status {
  project: string;
  state: string;
  why: string;
  iteration: number;
  period: number;
  error: number;
  loss: number;
  vectors: number;
  power: number;
  trainers: number;
  clients: number;
  efficiency: number;
  data_vectors: number;
  labels: number;
  remaining_ms: number;
  test_vectors: number;
  test_iteration: number;
  test_error: number;
  test_loss: number;
}

export interface Project {
  id: string;
  name: string;
  layers: Layer[];
  labels: string[];
  settings: Settings;
  status: Status;
  datasets: { dataset: string; cut: string; vectors: number; labels: string[]; mode: string }[];
  about: About;
  test: TestSet;
}

export type About = { description: string; author: string; licence: string };

export interface ModelFile {
  name: string;
  iteration: number;
  labels: string[];
  parameters: number;
  /** Whether the file holds the optimizer's state. */
  optimizer: boolean;
  freezable: string[];
  /** Why it cannot be taught other labels; empty: it can. */
  hindrance: string;
}

export interface Point {
  iteration: number;
  time: number;
  error: number;
  loss: number;
  vectors: number;
  power: number;
  trainers: number;
  test_error?: number;
  test_loss?: number;
  /** What only the history has: a live point gets it when the history is read again. How long the iteration took. */
  seconds?: number;
  efficiency?: number;
  learning_rate?: number;
  /** Median of all browsers, and that of a few by their number. */
  latency_ms?: number;
  latencies?: Record<string, number>;
  bytes_in?: number;
  bytes_out?: number;
}

/** One thing that happened to a project, or the same several times. */
export interface LogEntry {
  id: number;
  serial: number;
  time: number;
  level: "debug" | "info" | "warning" | "error";
  text: string;
  times: number;
}

/** One evaluation on the test set; `iteration` counts those done before it. */
export interface Evaluation {
  iteration: number;
  time: number;
  error: number;
  loss: number;
  count: number;
}

export type TestPart = "auto" | "test" | "validation" | "upload" | "none";

/** What a project is tested on. */
export interface TestSet {
  wished: TestPart;
  part: TestPart;
  dataset: string;
  vectors: number;
  counts: Record<string, number>;
  unknown: Record<string, number>;
  identity: string;
  /** The newest report; `labels`: pictures, answers, right answers of each label, none above a hundred. */
  last: { iteration?: number; error?: number; loss?: number; count?: number; labels?: [number, number, number][] };
}

export interface Checkpoint {
  iteration: number;
  saved: number;
  bytes: number;
  labels: number | null;
  loss: number | null;
  error: number | null;
  test_error: number | null;
  best: boolean;
}

export interface WorkerRow {
  client: number;
  worker: number;
  device: string;
  role: string;
  state: string;
  advice: string;
  allocated: number;
  cached: number;
  count: number;
  power: number;
  latency_ms: number;
  budget_ms: number;
  share: number;
}

export interface Roster {
  project: string;
  rows: WorkerRow[];
  more: number;
}

export interface MyWorker {
  worker: number;
  project: string;
  role: string;
  state: string;
  /** Its last answer came before its time was up. */
  early: boolean;
  reason: string;
  iteration: number;
  allocated: number;
  cached: number;
  downloadedBytes: number;
  totalBytes: number;
  count: number;
  total: number;
  power: number;
  ms: number;
  budgetMs: number;
  latencyMs: number;
}

export interface Report {
  id: string;
  name: string;
  bytes: number;
  created: number;
  version: number;
  notes: string[];
  uses: string[];
  labels: { name: string; train: number; validation: number; test: number }[];
  images: number;
  skipped: { total: number; reasons: Record<string, number>; files: { name: string; reason: string }[] };
  duplicates: number;
  known: boolean;
  cuts: Cut[];
}

export type Cut = Size & { id: string; mode: string; seed: number; validation: number; duplicates: string; vectors: number };

export interface Manifest {
  mean: number[];
  std: number[];
  vectors: number;
  shards: { hash: string; count: number; bytes: number }[];
  validation: { vectors: number };
  test: { vectors: number };
}

export interface Config {
  /** The longest model file that the server reads. */
  max_model_bytes: number;
  protocol: number;
  engine: string;
  engine_url: string;
  data_url: string;
  /** Where others reach the server; empty: only the computer on which it runs does. */
  invite_url: string;
  owner: boolean;
}

export interface Connection {
  state: string;
  reason: string;
  retryMs: number;
  since: number;
}

export interface Refusal {
  status: number;
  reason: string;
  about: string;
  worker: number;
}

/** Vectors, and the time in which a worker of this page or several computed in each iteration. */
export interface Given {
  vectors: number;
  ms: number;
}

/** What a worker may give of its device. */
export interface Gift {
  capacityVectors: number;
  capacityBytes: number;
  intensity: number;
}

export interface Live {
  connection: Signal<Connection>;
  owner: Signal<boolean>;
  client: Signal<number>;
  status: Signal<Status | null>;
  roster: Signal<Roster | null>;
  workers: Signal<MyWorker[]>;
  /** What this page gave to each project, also by workers that were stopped since. */
  given: Signal<ReadonlyMap<string, Given>>;
  paused: Signal<ReadonlySet<number>>;
  refusal: Signal<Refusal | null>;
  removed: Signal<string>;
  /** The newest evaluation by a statistics worker of this page. */
  report: Signal<import("./statistics/types").Evaluated | null>;
  /** For how many milliseconds this tab slept, when it woke; 0: it did not, or that was read. */
  slept: Signal<number>;
  watch(project: string, table?: boolean): void;
  add(project: string, gift: Gift): void;
  tune(worker: number, change: Partial<Gift> & { paused?: boolean }): void;
  remove(worker: number): void;
  /** How many bytes of pictures this browser may keep. */
  keep(bytes: number): void;
  touched(): void;
  /** Hear every message of the boss as it is; the result ends that. */
  hear(listener: (said: any) => void): () => void;
  /** Bring the time that was given up to date. */
  count(): void;
  say(message: object): void;
}

export interface Api {
  projects(): Promise<Project[]>;
  project(id: string): Promise<Project>;
  /** All, or what comes after an iteration as the server counts them. */
  history(id: string, after?: number): Promise<Point[]>;
  /** What changed after a serial, oldest first. */
  log(id: string, after: number): Promise<LogEntry[]>;
  create(name: string, layers: Layer[], settings: Settings): Promise<Project>;
  /** The demo project, made unless it is there. */
  demo(): Promise<Project>;
  act(id: string, action: "start" | "pause" | "reboot"): Promise<unknown>;
  change(id: string, settings: Settings): Promise<unknown>;
  remove(id: string): Promise<unknown>;
  attach(id: string, dataset: string): Promise<unknown>;
  /** Add a zip of label folders to a project while it trains. */
  teach(id: string, zip: Uint8Array<ArrayBuffer>): Promise<TaughtAnswer>;
  tests(id: string): Promise<Evaluation[]>;
  testOn(id: string, part: TestPart, dataset?: string): Promise<unknown>;
  checkpoints(id: string): Promise<Checkpoint[]>;
  restore(id: string, iteration: number): Promise<Project>;
  branch(id: string, iteration: number, name: string): Promise<Project>;
  checkpointUrl(id: string, iteration: number): string;
  health(): Promise<{ ok: boolean; trouble: string }>;
  modelUrl(id: string, optimizer?: boolean): string;
  exportUrl(id: string, form: string): string;
  /** In which forms, besides JSON, the server gives models. */
  forms(): Promise<{ form: string; name: string }[]>;
  describe(id: string, about: About): Promise<Project>;
  /** What a model file is, without keeping it. */
  inspect(file: File): Promise<ModelFile>;
  fromModel(file: File, name: string, how: "continue" | "transfer", freeze: string[]): Promise<Project>;
  transfer(id: string, name: string, freeze: string[]): Promise<Project>;
  /** The version, where a page shows more than one: what has its own address is not taken for another. */
  thumbnailsUrl(dataset: string, label: number, version?: number): string;
  archiveUrl(dataset: string): string;
  datasets(): Promise<Report[]>;
  dataset(id: string): Promise<Report>;
  manifest(cut: string): Promise<Manifest>;
  /** Rename the data set or labels (old name: new name); two labels of one name become one. */
  edit(dataset: string, changes: { name?: string; labels?: Record<string, string> }): Promise<Report>;
  /** Delete a data set. */
  discard(dataset: string): Promise<unknown>;
  /** How many others are done before the cut that was asked for last. */
  line(dataset: string): Promise<{ ahead: number }>;
  cut(dataset: string, size: Size, options: UploadOptions): Promise<Report>;
  /** The report is null where the upload was cancelled. */
  upload(file: File, size: Size, options: UploadOptions, hear: (told: Told) => void): { report: Promise<Report | null>; cancel(): void };
}

/** What became of a batch of taught pictures. */
export interface TaughtAnswer {
  dataset: string;
  added: number;
  left_out: { name: string; reason: string }[];
  known: boolean;
  /** How many the project has once the next close admitted them. */
  data_vectors: number;
}

export type Size = { width: number; height: number; channels: number };

/** How far an upload is; `waiting`: the connection broke, it is tried again; `ahead`: how many uploads are read before it. */
export type Told = { stage: "sending" | "waiting" | "reading" | "cancelling"; share?: number; ahead?: number };

export type UploadOptions = { mode?: string; validation?: string; duplicates?: string };

export type Route = { page: "projects" | "project" | "join" | "classify" | "statistics" | "data" | "unknown"; id: string };

/** How a browser treats hidden tabs. */
export type Browser = "chromium" | "firefox" | "safari" | "phone" | "other";

/** What entry/page.js gives to the pages: the only way from here to the browser and the network. */
export interface Env {
  config: Config;
  named: { id: string; name: string; about: About } | null;
  api: Api;
  live: Live;
  route: Signal<Route>;
  title(text: string): void;
  go(path: string): void;
  reload(): void;
  copy(text: string): Promise<boolean>;
  save(name: string, blob: Blob): void;
  recall(key: string): string;
  keep(key: string, value: string): void;
  /** Like recall and keep, for this tab alone. */
  carried(key: string): string;
  carry(key: string, value: string): void;
  /** Whether the user is in the middle of something that loading the page again would spoil. */
  busy(): boolean;
  cores: number;
  phone: boolean;
  browser: Browser;
  /** Whether the device charges; null: the browser does not tell. */
  charging: Signal<boolean | null>;
  /** Whether this browser's person wishes that it computes only while it charges. */
  onlyCharging: Signal<boolean>;
  origin: string;
  /** What the address asked for when the page was loaded, after "?". */
  query: URLSearchParams;
  visible(): boolean;
  said: Signal<string>;
  /** Pages whose code is fetched when they are first shown. */
  pages: Record<string, () => Promise<(props: { env: Env; id: string }) => any>>;
  /** Whether the browser trusts how this page came: by HTTPS, or from this device. */
  secure: boolean;
}
