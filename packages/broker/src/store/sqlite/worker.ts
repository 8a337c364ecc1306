import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import type { Row } from "../client.ts";
import type { Statement, WorkerAnswer, WorkerData, WorkerRequest } from "./worker-messages.ts";

// Body of a thread with one connection: SQLite waits for the disk and for other brokers here, not where connections are served.

/** How long a transaction waits for the one of another broker. */
const BUSY_TIMEOUT_MS = 5000;
/** SQLITE_BUSY. */
const BUSY = 5;
const BUSY_TURN_MS = 10;
/** Statements that stay compiled; there are fewer in all. */
const MAX_PREPARED = 64;

let open: { readonly database: DatabaseSync; readonly prepared: Map<string, StatementSync> } | undefined;

function connect() {
  const { path, readOnly } = workerData as WorkerData;
  // Before SQLite makes it, which would let others read it. Its two files beside it get the same mode.
  if (!readOnly) closeSync(openSync(path, "a", 0o600));
  const database = new DatabaseSync(path, { readOnly, timeout: BUSY_TIMEOUT_MS });
  try {
    if (!readOnly) useWriteAheadLog(database);
    // A commit is answered when it is on the disk, on macOS too.
    database.exec("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA trusted_schema = OFF");
  } catch (error) {
    database.close();
    throw error;
  }
  return { database, prepared: new Map<string, StatementSync>() };
}

/**
 * Of two connections that give a new file its write-ahead log at the same moment SQLite refuses one at once, without the wait for locks,
 * since each could wait for the other.
 */
function useWriteAheadLog(database: DatabaseSync): void {
  const end = Date.now() + BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      database.exec("PRAGMA journal_mode = WAL");
      return;
    } catch (error) {
      if ((resultCodeOf(error) & 0xff) !== BUSY || Date.now() > end) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_TURN_MS);
    }
  }
}

function run(statements: readonly Statement[]): Row[] {
  open ??= connect();
  const { database, prepared } = open;
  let rows: Row[] = [];
  for (const { text, runs } of statements) {
    // A transaction that SQLite has undone itself, for want of room for example, is undone.
    if (text === "ROLLBACK" && !database.isTransaction) continue;
    const statement = prepared.get(text) ?? database.prepare(text.replaceAll(/\$(\d)/g, "?$1"));
    if (prepared.size < MAX_PREPARED) prepared.set(text, statement);
    for (const values of runs) rows = statement.all(...values);
  }
  return rows;
}

function answerTo({ id, statements }: Exclude<WorkerRequest, "close">): WorkerAnswer {
  try {
    return { id, rows: run(statements) };
  } catch (error) {
    return { id, resultCode: resultCodeOf(error) };
  }
}

function resultCodeOf(error: unknown): number {
  const code = error instanceof Error && "errcode" in error ? error.errcode : 0;
  return typeof code === "number" ? code : 0;
}

parentPort?.on("message", (request: WorkerRequest) => {
  if (request !== "close") return parentPort?.postMessage(answerTo(request), []);
  // The last connection that closes brings the write-ahead log into the database and takes it away.
  open?.database.close();
  parentPort?.close();
});
