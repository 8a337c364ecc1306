import type { Row, StoreValue } from "../client.ts";

export interface WorkerData {
  readonly path: string;
  readonly readOnly: boolean;
}

/** A statement and the values of each time that it runs. */
export interface Statement {
  readonly text: string;
  readonly runs: readonly (readonly StoreValue[])[];
}

/** Statements to run in order up to the first error. Rows come from the last run of the last one. */
export type WorkerRequest = { readonly id: number; readonly statements: readonly Statement[] } | "close";

export type WorkerAnswer =
  | { readonly id: number; readonly rows: Row[] }
  /** SQLite's extended result code, 0 where it was no error of SQLite. */
  | { readonly id: number; readonly resultCode: number };
