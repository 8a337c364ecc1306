import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore, verifyStoredLog } from "@cloister/broker/store";
import type { LogEntry } from "@cloister/release-log";
import { openReleaseLog, verifyReleaseLogFile } from "@cloister/release-log/file";
import type { BenchRow } from "./row.ts";

// Logs of a million entries, in a file and in the store of SQLite: one durable append after the other beside the floor (the same
// bytes written and synced without a log), many at once, proofs, opening and verifying. Appends and floor take turns.

const BULK = Number(process.env["CLOISTER_BENCH_ENTRIES"] ?? 1_000_000);
const WAVE = 2048;
const SINGLES = 400;
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

interface Log {
  readonly size: number;
  append(entry: LogEntry): Promise<unknown>;
  prove(index: number): Promise<unknown>;
}

/** One way to keep a log. */
interface Kind {
  readonly name: string;
  readonly path: string;
  open(): Promise<{ readonly log: Log; readonly close: () => Promise<void> }>;
  verify(): Promise<unknown>;
}

async function measure(folder: string): Promise<BenchRow[]> {
  const { privateKey: signingKey, publicKey } = generateKeyPairSync("ed25519");
  const expected = { origin: "bench/log", publicKey };
  const [file, database] = [join(folder, "log"), join(folder, "broker.db")];
  const kinds: Kind[] = [
    {
      name: "SQLite",
      path: database,
      async open() {
        const store = await openStore({ path: database });
        const { log } = await store.openLog({ origin: expected.origin, signingKey });
        return { log, close: () => store.close() };
      },
      verify: () => verifyStoredLog({ path: database }, expected),
    },
    {
      name: "file",
      path: file,
      async open() {
        const log = await openReleaseLog({ path: file, origin: expected.origin, signingKey });
        return { log, close: () => log.close() };
      },
      verify: () => verifyReleaseLogFile(file, expected),
    },
  ];
  const rows: BenchRow[] = [];
  for (const kind of kinds) rows.push(...(await measureKind(kind, join(folder, "floor"))));
  return rows;
}

async function measureKind(kind: Kind, floorPath: string): Promise<BenchRow[]> {
  const { log, close } = await kind.open();
  const floor = await open(floorPath, "a");
  const bytes = Buffer.alloc(700, 0x20);
  const bulkSeconds = await seconds(async () => {
    for (let i = 0; i < BULK; i += WAVE) {
      await Promise.all(Array.from({ length: WAVE }, (_, k) => log.append(entry(i + k))));
    }
  });
  const [appends, floors, proofs]: [number[], number[], number[]] = [[], [], []];
  for (let i = 0; i < SINGLES; i += 1) {
    appends.push(await seconds(async () => void (await log.append(entry(i)))));
    floors.push(
      await seconds(async () => {
        await floor.write(bytes);
        await floor.datasync();
      }),
    );
    proofs.push(await seconds(async () => void (await log.prove((i * 977) % log.size))));
  }
  await floor.close();
  await close();
  const openSeconds = await seconds(async () => (await kind.open()).close());
  const verifySeconds = await seconds(async () => void (await kind.verify()));
  const readSeconds = await seconds(async () => void (await readFile(kind.path)));
  const size = `${BULK / 1000}k entries`;
  const row = (name: string, unit: string, ours: number, peer: number, peerName: string): BenchRow => {
    return { case: `${kind.name}: ${name}`, unit, ours, peer, peerName, ratio: peer / ours };
  };
  const floorMs = (part: number): number => percentile(floors, part) * 1000;
  return [
    row("append p50", "ms", percentile(appends, 0.5) * 1000, floorMs(0.5), FLOOR),
    row("append p99", "ms", percentile(appends, 0.99) * 1000, floorMs(0.99), FLOOR),
    row("append, 2048 at once", "ms each", (bulkSeconds / BULK) * 1000, floorMs(0.5), FLOOR),
    row(`proof p50, ${size}`, "ms", percentile(proofs, 0.5) * 1000, 1, "aim"),
    row(`open, ${size}`, "s", openSeconds, readSeconds, "read the file alone"),
    row(`verify, ${size}`, "s", verifySeconds, readSeconds, "read the file alone"),
  ];
}

async function seconds(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1000;
}

function percentile(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * part)] ?? Number.NaN;
}
