import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chownSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { PostgresSettings } from "@cloister/broker/store";
import type { TestStore } from "./store-suite.ts";

const run = promisify(execFile);
const VERSIONS = "/usr/lib/postgresql";
const START_TIMEOUT_MS = 20_000;

/** A PostgreSQL server of this test alone, on a Unix socket, with its default durability. */
export interface TestDatabase extends TestStore {
  readonly settings: PostgresSettings;
  /** Runs statements as the administrator and returns what `psql` prints: a line a row, columns separated by `|`. */
  admin(sql: string): Promise<string>;
  /** The same with the triggers in force. */
  guarded(sql: string): Promise<string>;
  /** "immediate" is a crash: nothing is flushed, all connections break. */
  stop(mode: "immediate" | "fast"): Promise<void>;
  start(): Promise<void>;
}

/** Starts a server from Debian's `postgresql-15` (or newer) package; ends with the test. `parent` is where its data goes. */
export async function startPostgres(t: TestContext, parent: string = tmpdir()): Promise<TestDatabase> {
  const folder = await mkdtemp(join(parent, "postgres-"));
  const owner = await serverUser();
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
  const bin = await binaries();
  const data = join(folder, "data");
  await run(join(bin, "initdb"), ["-D", data, "-U", "cloister", "-A", "trust", "-E", "UTF8"], owner);
  const settings: PostgresSettings = { host: folder, database: "postgres", user: "cloister" };
  let server: ChildProcess | undefined;
  const guarded = async (sql: string): Promise<string> => {
    const options = ["-h", folder, "-U", "cloister", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql, "postgres"];
    const env = { ...process.env, PGOPTIONS: "-c search_path=cloister" };
    return (await run(join(bin, "psql"), options, { env })).stdout.trim();
  };
  const admin = async (sql: string): Promise<string> => guarded(`SET session_replication_role = replica; ${sql}`);

  const start = async (): Promise<void> => {
    const options = ["-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "shared_buffers=64MB"];
    server = spawn(join(bin, "postgres"), options, { ...owner, stdio: "ignore" });
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        await guarded("SELECT 1");
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await sleep(50);
      }
    }
  };
  const stop = async (mode: "immediate" | "fast"): Promise<void> => {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server?.once("exit", resolve));
    server.kill(mode === "immediate" ? "SIGQUIT" : "SIGINT");
    await ended;
  };
  t.after(async () => {
    await stop("immediate");
    await rm(folder, { recursive: true, force: true });
  });
  await start();
  return {
    settings,
    folder,
    stop,
    start,
    admin,
    guarded,
    sql: { hex: (column) => `encode(${column}, 'hex')`, bytes: (digits) => `'\\x${digits}'::bytea` },
    async refuseWrites(refuse) {
      await guarded(`ALTER SYSTEM SET default_transaction_read_only = ${refuse ? "on" : "off"}`);
      await guarded("SELECT pg_reload_conf()");
      await sleep(300);
    },
    async dump() {
      const options = { ...owner, maxBuffer: 1 << 28 };
      return (await run(join(bin, "pg_dump"), ["-h", folder, "-U", "cloister", "postgres"], options)).stdout;
    },
  };
}

/** PostgreSQL refuses to run as root. */
async function serverUser(): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const id = async (flag: "-u" | "-g"): Promise<number> => Number((await run("id", [flag, "postgres"])).stdout);
  return { uid: await id("-u"), gid: await id("-g") };
}

async function binaries(): Promise<string> {
  const versions = await readdir(VERSIONS);
  const newest = versions.map(Number).sort((a, b) => b - a)[0];
  return join(VERSIONS, String(newest), "bin");
}
