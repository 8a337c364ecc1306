import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import type { MutationReport } from "./attestation-mutations.worker.ts";

// Group D.16 of the test plan: quotes, revocation lists, certificates and JSON are mutated and appraised, 100,000 times from a
// fixed seed. A result or a typed refusal, within 50 ms, inside a heap of 64 MiB: a run that needs more ends the worker.

const RUNS = 100_000;
const HEAP_MIB = 64;

test(`${RUNS} mutated appraisals end in a result or a typed refusal, in time and in bounded memory`, async () => {
  const worker = new Worker(new URL("attestation-mutations.worker.ts", import.meta.url), {
    workerData: { runs: RUNS, seed: 20_260_310 },
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB - 16, maxYoungGenerationSizeMb: 16 },
  });
  const report = await new Promise<MutationReport>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", (code) => {
      reject(new Error(`the worker ended with ${code}`));
    });
  });
  assert.deepEqual(report.findings, []);
  assert.deepEqual(report.slow, []);
  assert.equal(report.runs, RUNS);
  // The mutations do reach the depth of the verifier.
  assert.ok(report.codes.length > 40, report.codes.join(" "));
  assert.ok(report.maxBufferBytes < HEAP_MIB * 1024 * 1024);
});
