/** What a store keeps in a column: numbers are whole, digests and documents are text or bytes. */
export type StoreValue = string | number | null | Uint8Array;
export type Row = Record<string, unknown>;

/** Entries with all that changes with them. */
export interface NewEntries {
  readonly firstIndex: number;
  readonly leaves: readonly Uint8Array[];
  readonly leafHashes: readonly Uint8Array[];
  /** Peer keys of the releases among them, beside their indices. */
  readonly served: readonly { readonly peerKeySha256: string; readonly leafIndex: number }[];
  /** Covers all of them. */
  readonly checkpoint: string;
}

/**
 * One connection in use. Most statements are the same in SQLite and PostgreSQL and are given as text; the methods are what the
 * two say differently. Whole numbers come back as numbers from the one and as text from the other.
 */
export interface StoreClient {
  /** One statement, `$1`, `$2` ... standing for the values. */
  query(text: string, values?: readonly StoreValue[]): Promise<Row[]>;
  /** Begins a transaction, with the next statement at the latest; `COMMIT` or `ROLLBACK` by `query` ends it. */
  begin(): Promise<void>;
  /** What a SELECT ends with to make other writers of the rows wait. SQLite's transactions do so by themselves. */
  readonly forUpdate: " FOR UPDATE" | "";
  /** In a transaction: makes other writers of documents wait, also where there is none yet. */
  lockDocuments(): Promise<void>;
  /** The leaf hashes from `start` to `end`, one behind the other; shorter where some are missing. */
  leafHashes(start: number, end: number): Promise<Uint8Array>;
  /** The entries from `start` to `end`; fewer, or others, where some are missing. */
  leaves(start: number, end: number): Promise<Uint8Array[]>;
  /** Those of the peer keys that have a release. */
  servedAmong(peerKeys: readonly string[]): Promise<Row[]>;
  /** Writes entries, served keys, checkpoint and head in the open transaction, and commits it. */
  commitEntries(entries: NewEntries): Promise<void>;
  /** In a transaction: wakes those who wait for a switch of the policy, where the database can. */
  notifyPolicy(): Promise<void>;
}

/** A connection that is opened when it is needed. */
export interface StoreConnection {
  /** Runs `work` alone on the connection. What it throws is thrown on; a transaction that it left open is undone. */
  use<T>(work: (client: StoreClient) => Promise<T>): Promise<T>;
  /** One statement. Throws STORE_UNAVAILABLE. */
  query(text: string, values?: readonly StoreValue[]): Promise<Row[]>;
  close(): Promise<void>;
}

/** A database with its tables made. */
export interface StoreDatabase {
  /** Appends take turns on it. */
  readonly writer: StoreConnection;
  readonly reader: StoreConnection;
  /** Switches of the policy; may be the writer. */
  readonly switches: StoreConnection;
  /** Calls `wake` soon after each switch of the policy, as far as the database can. */
  readonly listen: (wake: () => void) => Promise<void>;
  close(): Promise<void>;
}
