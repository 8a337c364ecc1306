import { setTimeout } from "node:timers/promises";
import { connect, createSecureContext, type SecureContext } from "node:tls";

// The clients of the broker benchmark, in a process of their own, as they are in a cluster.

export interface ClientJob {
  readonly port: number;
  readonly ca: string;
  readonly concurrency: number;
  /** Provisionings begun in a second, spread evenly, where they do not follow each other as fast as they can. */
  readonly perSecond?: number | undefined;
  /** The first provisionings, that are not counted: a broker runs for months, its first seconds are not what it is like. */
  readonly warmUp: number;
  readonly enclaves: readonly { readonly key: string; readonly cert: string }[];
}

export interface ClientResult {
  readonly seconds: number;
  /** Connect to last byte, one a provisioning; from the time at which it was due where there is a rate. */
  readonly latenciesMs: readonly number[];
}

const REQUEST = "SECRET_PROVISION_RA_TLS_REQUEST_V1\0";
const ANSWER_BYTES = 57;

function provisionOnce(port: number, secureContext: SecureContext): Promise<number> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, secureContext, servername: "broker.test" });
    let length = 0;
    socket.once("secureConnect", () => socket.write(REQUEST));
    socket.on("data", (chunk: Buffer) => {
      length += chunk.length;
    });
    socket.once("error", reject);
    socket.once("close", () => {
      if (length === ANSWER_BYTES) resolve(performance.now() - startedAt);
      else reject(new Error(`the broker answered ${length} bytes`));
    });
  });
}

async function run(job: ClientJob): Promise<ClientResult> {
  // Reading keys and certificates is done before the clock runs: it is no part of a provisioning.
  const contexts = job.enclaves.map((enclave) => createSecureContext({ ca: job.ca, ...enclave }));
  await provisionAll({ ...job, perSecond: undefined }, contexts.splice(0, job.warmUp));
  const startedAt = performance.now();
  const latenciesMs = await provisionAll(job, contexts);
  return { seconds: (performance.now() - startedAt) / 1000, latenciesMs };
}

async function provisionAll(job: ClientJob, contexts: readonly SecureContext[]): Promise<number[]> {
  const startedAt = performance.now();
  const gapMs = job.perSecond === undefined ? 0 : 1000 / job.perSecond;
  const latenciesMs: number[] = [];
  const waiting = contexts.entries();
  await Promise.all(
    Array.from({ length: job.concurrency }, async () => {
      for (const [index, context] of waiting) {
        const lateMs = gapMs === 0 ? 0 : await lateFor(startedAt + index * gapMs);
        latenciesMs.push(lateMs + (await provisionOnce(job.port, context)));
      }
    }),
  );
  return latenciesMs;
}

/** Waits until `dueMs` and gives how much later it is. */
async function lateFor(dueMs: number): Promise<number> {
  await setTimeout(Math.max(0, dueMs - performance.now()));
  return Math.max(0, performance.now() - dueMs);
}

process.once("message", (job: ClientJob) => {
  void run(job).then((result) => process.send?.(result, () => process.disconnect()));
});
