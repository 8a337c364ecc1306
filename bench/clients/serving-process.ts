import { join } from "node:path";
import { generateLoad, type LoadReport } from "@cloister/client";
import { LineProcess } from "./line-process.ts";
import { LoadConnection } from "./load-connection.ts";

/** What one round of load tells. */
export interface Sample {
  readonly perSecond: number;
  readonly cpuMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

export interface Load {
  readonly frame: Uint8Array;
  readonly requests: number;
  readonly concurrency: number;
  /** Open loop: calls begin on a schedule. */
  readonly ratePerSecond?: number;
}

const CONNECTIONS = 2;
const PREDICT = "/tensorflow.serving.PredictionService/Predict";

/** A server in a process of its own, which prints its port and tells its CPU time when it is asked; and a client for it here. */
export class ServingProcess {
  readonly #process: LineProcess;
  readonly #connections: readonly LoadConnection[];

  private constructor(process: LineProcess, connections: readonly LoadConnection[]) {
    this.#process = process;
    this.#connections = connections;
  }

  /** One of our server, grpc-js and the floor, or our server with a model; all over TLS. */
  static ours(
    kind: "ours" | "grpc-js" | "floor" | "tls" | "model",
    ...args: readonly string[]
  ): Promise<ServingProcess> {
    return ServingProcess.#start(process.execPath, [join(import.meta.dirname, "serving-server.ts"), kind, ...args]);
  }

  static python(python: string, ...args: readonly string[]): Promise<ServingProcess> {
    return ServingProcess.#start(python, [join(import.meta.dirname, "serving_tensorflow.py"), ...args]);
  }

  static async #start(command: string, args: readonly string[]): Promise<ServingProcess> {
    const server = new LineProcess("the server", command, args);
    const { port, ca } = await server.next<{ port: number; ca?: string }>();
    const open = (): Promise<LoadConnection> => LoadConnection.open(port, ca, PREDICT);
    return new ServingProcess(server, await Promise.all(Array.from({ length: CONNECTIONS }, open)));
  }

  /** One round of load. Throws where a request fails. */
  async measure({ frame, ...load }: Load): Promise<Sample> {
    const before = await this.#cpuMs();
    let calls = 0;
    const call = async (): Promise<{ replica: undefined }> => {
      await this.#connections[calls++ % CONNECTIONS]?.call(frame);
      return { replica: undefined };
    };
    const report: LoadReport = await generateLoad(call, load);
    if (report.failed > 0) throw new Error("a request failed");
    const { p50Ms, p95Ms, p99Ms } = report.latency;
    const cpuMs = ((await this.#cpuMs()) - before) / load.requests;
    return { perSecond: report.perSecond, cpuMs, p50Ms, p95Ms, p99Ms };
  }

  async stop(): Promise<void> {
    for (const connection of this.#connections) connection.close();
    await this.#process.stop();
  }

  async #cpuMs(): Promise<number> {
    return (await this.#process.ask<{ cpuMs: number }>("cpu")).cpuMs;
  }
}

/** The median of each figure. */
export function medianOf(samples: readonly Sample[]): Sample {
  const median = (of: keyof Sample): number =>
    samples.map((sample) => sample[of]).toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? Number.NaN;
  return {
    perSecond: median("perSecond"),
    cpuMs: median("cpuMs"),
    p50Ms: median("p50Ms"),
    p95Ms: median("p95Ms"),
    p99Ms: median("p99Ms"),
  };
}
