import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { ReleaseLogError } from "@cloister/release-log";
import { BrokerError } from "../../broker-error.ts";
import { logError } from "../log-rows.ts";
import type { Row, StoreClient, StoreConnection, StoreValue } from "../client.ts";
import { unavailable } from "../unavailable.ts";
import { SqliteClient } from "./client.ts";
import type { Statement, WorkerAnswer, WorkerData, WorkerRequest } from "./worker-messages.ts";

/** A database in a file, which brokers of one machine may share. */
export interface SqliteSettings {
  readonly path: string;
}

// Primary result codes, the low byte of the extended ones (sqlite.org/rescode.html).
const CORRUPT = 11;
const NOTADB = 26;
/** Extended codes: a file, or its folder, was not brought to the disk. */
const FSYNC_FAILED: ReadonlySet<number> = new Set([10 | (4 << 8), 10 | (5 << 8)]);
const NAMES: Readonly<Record<number, string>> = {
  5: "SQLITE_BUSY",
  8: "SQLITE_READONLY",
  10: "SQLITE_IOERR",
  13: "SQLITE_FULL",
  14: "SQLITE_CANTOPEN",
};

/** One connection on a thread of its own. Uses take turns. */
export class SqliteConnection implements StoreConnection {
  readonly #workerData: WorkerData;
  readonly #client: StoreClient = new SqliteClient((statements) => this.#ask(statements));
  readonly #waiting = new Map<number, PromiseWithResolvers<Row[]>>();
  #worker: Worker | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #count = 0;
  #isClosed = false;

  constructor({ path }: SqliteSettings, { readOnly = false }: { readonly readOnly?: boolean } = {}) {
    this.#workerData = { path, readOnly };
  }

  use<T>(work: (client: StoreClient) => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => this.#run(work));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  query(text: string, values: readonly StoreValue[] = []): Promise<Row[]> {
    return this.use((client) => client.query(text, values));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turn;
    const worker = this.#worker;
    if (worker === undefined) return;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.postMessage("close" satisfies WorkerRequest, []);
    await ended;
  }

  async #run<T>(work: (client: StoreClient) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw unavailable(new Error("the store was closed"));
    try {
      return await work(this.#client);
    } catch (error) {
      await this.#client.query("ROLLBACK").catch(() => undefined);
      throw error;
    }
  }

  #ask(statements: readonly Statement[]): Promise<Row[]> {
    const worker = (this.#worker ??= this.#start());
    const waiting = Promise.withResolvers<Row[]>();
    const id = this.#count++;
    this.#waiting.set(id, waiting);
    worker.postMessage({ id, statements } satisfies WorkerRequest, []);
    return waiting.promise;
  }

  #start(): Worker {
    const url = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
    const worker = new Worker(url, { workerData: this.#workerData });
    worker.on("message", (answer: WorkerAnswer) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ("rows" in answer) waiting?.resolve(answer.rows);
      else waiting?.reject(refusal(answer.resultCode));
    });
    // An error of the thread itself ends it too; the next use begins another.
    worker
      .on("error", () => undefined)
      .on("exit", () => {
        this.#worker = undefined;
        for (const waiting of this.#waiting.values()) waiting.reject(unavailable(new Error("the thread ended")));
        this.#waiting.clear();
      });
    return worker;
  }
}

function refusal(resultCode: number): BrokerError | ReleaseLogError {
  if (FSYNC_FAILED.has(resultCode)) {
    // The kernel may have dropped the pages: what is on the disk is unknown, so nothing may follow it.
    return logError("LOG_BROKEN", "what was written could not be brought to the disk");
  }
  const primary = resultCode & 0xff;
  if (primary === CORRUPT || primary === NOTADB) {
    return new BrokerError("STORE_DAMAGED", {
      what: "the store of the broker cannot be read",
      why: `its file is damaged, or is no database of SQLite (${resultCode})`,
      remedy: "keep the file as evidence and restore a copy; it is not repaired",
    });
  }
  const code = NAMES[primary] ?? `SQLITE ${resultCode}`;
  return unavailable(Object.assign(new Error("SQLite refused"), { code }));
}
