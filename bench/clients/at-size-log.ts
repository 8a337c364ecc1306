import { generateKeyPairSync } from "node:crypto";
import { stat } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { LogEntry } from "@cloister/release-log";
import { openReleaseLog } from "@cloister/release-log/file";

// What a release log of a size costs to open and to hold, in a process of its own so that its memory is its own.

export interface LogJob {
  readonly path: string;
  readonly entries: number;
  /** An entry as the broker wrote it. */
  readonly entry: LogEntry;
}

export interface LogResult {
  readonly bytes: number;
  readonly openMs: number;
  readonly memoryBytes: number;
}

const WAVE = 2048;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

process.once("message", (job: LogJob) => {
  void measure(job).then((result) => process.send?.(result, () => process.disconnect()));
});

async function measure({ path, entries, entry }: LogJob): Promise<LogResult> {
  const options = { path, origin: "bench/at-size", signingKey: generateKeyPairSync("ed25519").privateKey };
  const filled = await openReleaseLog(options);
  for (let i = 0; i < entries; i += WAVE) {
    await Promise.all(Array.from({ length: Math.min(WAVE, entries - i) }, () => filled.append(entry)));
  }
  await filled.close();
  const before = held();
  const startedAt = performance.now();
  const log = await openReleaseLog(options);
  const openMs = performance.now() - startedAt;
  const memoryBytes = held() - before;
  await log.close();
  return { bytes: (await stat(path)).size, openMs, memoryBytes };
}

function held(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
