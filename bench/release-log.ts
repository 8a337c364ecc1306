import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { LogEntry } from "@cloister/release-log";
import { openReleaseLog, verifyReleaseLogFile } from "@cloister/release-log/file";
import type { BenchRow } from "./row.ts";

// A log of a million entries: one durable append after the other beside the floor (the same bytes written and synced without
// a log) and beside SQLite, then many at once, proofs, opening and verifying. Appends, floor and SQLite take turns.

const BULK = Number(process.env["CLOISTER_BENCH_ENTRIES"] ?? 1_000_000);
const WAVE = 2048;
const SINGLES = 400;
const SQLITE = "insert, WAL, synchronous=FULL";
const FLOOR = "write and fdatasync alone";

const entry = (i: number): LogEntry => ({
  time: "2026-01-01T00:00:00.000Z",
  decision: "released",
  codes: [],
  workload: "digits",
  rule: "workloads.digits.identities.0",
  keyId: `digits/${i}`,
  claims: { tee: "sgx", tcbStatus: "UpToDate", fmspc: "00606a000000", ppid: "99".repeat(16) },
  claimsSha256: "ab".repeat(32),
  policySha256: "cd".repeat(32),
  peerKeySha256: "ef".repeat(32),
  simulated: true,
});

export async function run(): Promise<BenchRow[]> {
  const folder = await mkdtemp(join(tmpdir(), "bench-log-"));
  try {
    return await measure(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function measure(folder: string): Promise<BenchRow[]> {
  const { privateKey: signingKey, publicKey } = generateKeyPairSync("ed25519");
  const options = { path: join(folder, "log"), origin: "bench/log", signingKey };
  const log = await openReleaseLog(options);
  const floor = await open(join(folder, "floor"), "a");
  const sqlite = openSqlite(join(folder, "log.sqlite"));
  const bytes = Buffer.alloc(700, 0x20);
  const bulkSeconds = await seconds(async () => {
    for (let i = 0; i < BULK; i += WAVE) {
      await Promise.all(Array.from({ length: WAVE }, (_, k) => log.append(entry(i + k))));
    }
  });
  const [appends, floors]: [number[], number[]] = [[], []];
  const [inserts, proofs]: [number[], number[]] = [[], []];
  for (let i = 0; i < SINGLES; i += 1) {
    appends.push(await seconds(async () => void (await log.append(entry(i)))));
    floors.push(
      await seconds(async () => {
        await floor.write(bytes);
        await floor.datasync();
      }),
    );
    inserts.push(await seconds(() => sqlite.insert(bytes)));
    proofs.push(await seconds(async () => void (await log.prove((i * 977) % log.size))));
  }
  await floor.close();
  sqlite.close();
  await log.close();
  const openSeconds = await seconds(async () => (await openReleaseLog(options)).close());
  const verifySeconds = await seconds(async () => {
    await verifyReleaseLogFile(options.path, { origin: options.origin, publicKey });
  });
  const size = `${BULK / 1000}k entries`;
  const readSeconds = await seconds(async () => void (await readFile(options.path)));
  const row = (name: string, unit: string, ours: number, peer: number, peerName: string): BenchRow => {
    return { case: name, unit, ours, peer, peerName, ratio: peer / ours };
  };
  const floorMs = (part: number): number => percentile(floors, part) * 1000;
  return [
    row("append p50", "ms", percentile(appends, 0.5) * 1000, floorMs(0.5), FLOOR),
    row("append p99", "ms", percentile(appends, 0.99) * 1000, floorMs(0.99), FLOOR),
    row("append p50, beside SQLite", "ms", percentile(appends, 0.5) * 1000, percentile(inserts, 0.5) * 1000, SQLITE),
    row("append, 2048 at once", "ms each", (bulkSeconds / BULK) * 1000, floorMs(0.5), FLOOR),
    row(`proof p50, ${size}`, "ms", percentile(proofs, 0.5) * 1000, 1, "aim"),
    row(`open, ${size}`, "s", openSeconds, readSeconds, "read the file alone"),
    row(`verify, ${size}`, "s", verifySeconds, readSeconds, "read the file alone"),
  ];
}

/** A table of leaves alone, without tree, signature or proof. Calls hold the event loop until the disk is done. */
function openSqlite(path: string) {
  const database = new DatabaseSync(path);
  database.exec(
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE leaves (i INTEGER PRIMARY KEY, leaf BLOB)",
  );
  const statement = database.prepare("INSERT INTO leaves (leaf) VALUES (?)");
  return {
    insert: (leaf: Uint8Array): Promise<void> => Promise.resolve(void statement.run(leaf)),
    close: () => database.close(),
  };
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1000;
}

function percentile(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * part)] ?? Number.NaN;
}
