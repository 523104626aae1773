// What the statistics page speaks about.
import type { Report } from "../../statistics.js";

/** A report of this page's own statistics worker (docs/architecture.md, "Page and boss"). */
export type Evaluated = Report & { project: string };

export interface Score {
  label: string;
  precision: number;
  recall: number;
  f1: number;
  support: number;
  /** The label that its pictures are most often taken for, with how many; empty: for none. */
  takenFor: string;
}

/** Row and column of a cell: what a picture shows, what the network says. */
export type Place = [number, number];

export interface Grid {
  labels: string[];
  /** [label][predicted] */
  matrix: number[][];
  /** Pictures of each label. */
  totals: number[];
}
