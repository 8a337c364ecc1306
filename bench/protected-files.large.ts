import { mkdtemp, open, rm, stat } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { generateWrapKey, reKeyFile, sealFileTo, withReader, WorkerPool } from "@cloister/protected-files/rim";

// node bench/protected-files.large.ts [GB] [THREADS]: a sparse file (10 GB unless told otherwise, and as much free disk is needed)
// is sealed on two threads unless told otherwise, read at random offsets and re-keyed. Fails unless what is read is right, a re-key takes less than a second, and the
// process never has more than 100 MB of its own. Not a unit test: it takes minutes.

const MIB = 2 ** 20;
const LIMIT_MIB = 100;
const PROBES = 50;
const PROBE_BYTES = 10_000;

const sizeBytes = Number(process.argv[2] ?? "10") * 1e9;
const threads = Number(process.argv[3] ?? "2");
const directory = await mkdtemp(join(tmpdir(), "large-"));
const [plain, sealed] = [join(directory, "plain"), join(directory, "sealed")];
const [wrapKey, newWrapKey] = [generateWrapKey(), generateWrapKey()];
const boundPath = "models/large/1/weights";
const mark = Buffer.from("here the hole ends");
const markAt = Math.floor(sizeBytes * 0.7) - 5;
let peakMiB = 0;

function sample(): void {
  const status = readFileSync("/proc/self/status", "utf8");
  peakMiB = Math.max(peakMiB, Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]) / 1024);
}

async function timed<T>(name: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  sample();
  console.log(`${name}: ${(performance.now() - start).toFixed(0)} ms`);
  return result;
}

async function makeSparse(): Promise<void> {
  const file = await open(plain, "w");
  await file.truncate(sizeBytes);
  await file.write(mark, 0, mark.length, markAt);
  await file.close();
}

async function probe(): Promise<void> {
  await withReader(sealed, { wrapKey, boundPath }, async (reader) => {
    check(reader.sizeBytes === sizeBytes, "the size is right");
    check(Buffer.compare(await reader.read(markAt, mark.length), mark) === 0, "the mark is where it was");
    for (let count = 0; count < PROBES; count += 1) {
      const offset = Math.floor(Math.random() * (markAt - PROBE_BYTES));
      check(
        (await reader.read(offset, PROBE_BYTES)).every((byte) => byte === 0),
        "holes read as zeros",
      );
    }
    check((await reader.read(sizeBytes - 1, 1))[0] === 0, "the last byte is there");
  });
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
}

const pool = threads > 1 ? new WorkerPool(threads) : undefined;
try {
  await makeSparse();
  const onProgress = (): void => {
    sample();
  };
  await timed("seal", () => sealFileTo(plain, sealed, { wrapKey, boundPath, onProgress, pool }));
  await timed(`${PROBES} reads at random offsets`, probe);
  const start = performance.now();
  await timed("re-key", () => reKeyFile(sealed, { wrapKey, newWrapKey, boundPath }));
  check(performance.now() - start < 1000, "a re-key takes less than a second");
  await withReader(sealed, { wrapKey: newWrapKey, boundPath }, (reader) => reader.read(markAt, 1));
  console.log(
    `sealed size: ${((await stat(sealed)).size / MIB).toFixed(0)} MiB; most private memory: ${peakMiB.toFixed(0)} MiB`,
  );
  check(peakMiB < LIMIT_MIB, `less than ${LIMIT_MIB} MiB of private memory`);
} finally {
  await pool?.close();
  await rm(directory, { recursive: true });
}
