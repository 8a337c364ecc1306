import { connect } from "node:tls";
import { parentPort, workerData } from "node:worker_threads";

// The clients of the broker benchmark, in a thread of their own: the broker has its core for itself where there are two.

export interface ClientJob {
  readonly port: number;
  readonly ca: string;
  readonly concurrency: number;
  readonly enclaves: readonly { readonly key: string; readonly cert: string }[];
}

export interface ClientResult {
  readonly seconds: number;
  /** Connect to last byte, one a provisioning. */
  readonly latenciesMs: readonly number[];
}

const REQUEST = "SECRET_PROVISION_RA_TLS_REQUEST_V1\0";
const ANSWER_BYTES = 57;

function provisionOnce(job: ClientJob, enclave: { key: string; cert: string }): Promise<number> {
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port: job.port, ca: job.ca, servername: "broker.test", ...enclave });
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
  const waiting = [...job.enclaves];
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: job.concurrency }, async () => {
      for (let enclave = waiting.pop(); enclave !== undefined; enclave = waiting.pop()) {
        latenciesMs.push(await provisionOnce(job, enclave));
      }
    }),
  );
  return { seconds: (performance.now() - startedAt) / 1000, latenciesMs };
}

if (parentPort !== null) parentPort.postMessage(await run(workerData as ClientJob), []);
