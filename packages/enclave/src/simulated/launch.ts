import { type ChildProcess, spawn } from "node:child_process";
import { openSync, closeSync } from "node:fs";
import { join } from "node:path";
import { asBuffer } from "@cloister/encoding";
import { EnclaveError } from "../errors.ts";
import { type EnclaveManifest, encodeManifest } from "../manifest/manifest.ts";
import { measureSimulated } from "../manifest/measure.ts";
import { checkTrustedFiles, type Installation } from "../manifest/runtime-files.ts";
import type { QuoteSource } from "./quoting/protocol.ts";
import { FromReplica, type ToReplica } from "./messages.ts";

export interface LaunchOptions {
  readonly platform: QuoteSource;
  readonly installation: Installation;
  readonly manifest: EnclaveManifest;
  /** Passed on as they are: the replica decides what it accepts. */
  readonly hostOptions: unknown;
  /** Starts a debug enclave: its quotes say so. */
  readonly debug?: boolean;
  /** The replica's log (untrusted disk); absent: this process's own output. */
  readonly logFile?: string;
  /** Default 60,000. Counts the waiting for a broker too. */
  readonly startTimeoutMs?: number;
  /** Ends a start that is under way: REPLICA_EXITED. */
  readonly signal?: AbortSignal;
  readonly onPhase?: (name: string, ms: number) => void;
}

/** A replica that is READY: admitted by the broker, model opened and loaded, port open. */
export interface RunningReplica {
  readonly pid: number;
  readonly address: { readonly host: string; readonly port: number };
  readonly generation: number;
  readonly measurement: Uint8Array;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** Drains and ends the process; kills it when that takes longer than `graceMs`. */
  stop(graceMs?: number): Promise<void>;
}

/**
 * Starts a replica in a SIMULATED TEE: checks the program's files against the manifest, measures the manifest, starts the
 * program in a process of its own with an empty environment, and answers its quote requests with that measurement.
 *
 * Resolves when the replica is READY. Throws `TRUSTED_FILE_*` before anything runs, `REPLICA_REFUSED` with the replica's own
 * code as `cause` when it gave up, `REPLICA_EXITED`, `REPLICA_START_TIMEOUT`.
 */
export async function launchSimulated(options: LaunchOptions): Promise<RunningReplica> {
  await checkTrustedFiles(options.installation, options.manifest.trustedFiles);
  const measurement = measureSimulated(options.manifest);
  const child = spawnReplica(options);
  const send = (message: ToReplica): void => {
    if (child.connected) child.send(message);
  };
  const exited = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const ready = waitUntilReady(child, options, measurement, send);
  const manifest = asBuffer(encodeManifest(options.manifest)).toString("base64");
  send({ kind: "start", manifest, hostOptions: options.hostOptions });
  const stop = (graceMs = 5_000): Promise<void> => {
    send({ kind: "stop" });
    const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
    return exited.finally(() => clearTimeout(timer));
  };
  const abort = (): void => void child.kill("SIGKILL");
  options.signal?.addEventListener("abort", abort, { once: true });
  try {
    return { ...(await ready), pid: child.pid ?? -1, measurement, exited, stop };
  } catch (error) {
    child.kill("SIGKILL");
    await exited;
    throw error;
  } finally {
    options.signal?.removeEventListener("abort", abort);
  }
}

function spawnReplica({ installation, manifest, logFile }: LaunchOptions): ChildProcess {
  const log = logFile === undefined ? undefined : openSync(logFile, "a", 0o600);
  try {
    // The environment is empty: NODE_OPTIONS or LD_PRELOAD of the host must not reach the program.
    return spawn(installation.nodeExecutable, [join(installation.root, manifest.entrypoint)], {
      env: {},
      stdio: ["ignore", log ?? "inherit", log ?? "inherit", "ipc"],
    });
  } finally {
    if (log !== undefined) closeSync(log);
  }
}

function waitUntilReady(
  child: ChildProcess,
  options: LaunchOptions,
  measurement: Uint8Array,
  send: (message: ToReplica) => void,
): Promise<Pick<RunningReplica, "address" | "generation">> {
  return new Promise((resolve, reject) => {
    const timeoutMs = options.startTimeoutMs ?? 60_000;
    const timer = setTimeout(() => reject(startTimeout(timeoutMs)), timeoutMs);
    child.once("error", (cause) => reject(exitedEarly(cause)));
    child.once("close", () => reject(exitedEarly()));
    child.on("message", (raw) => {
      const parsed = FromReplica.safeParse(raw);
      if (!parsed.success) return;
      const message = parsed.data;
      switch (message.kind) {
        case "quote-request":
          void answerQuote(options, measurement, message).then(send);
          break;
        case "phase":
          options.onPhase?.(message.name, message.ms);
          break;
        case "ready":
          resolve({ address: { host: message.host, port: message.port }, generation: message.generation });
          break;
        case "refused":
          reject(new ReplicaRefusal(message.code, message.message));
          break;
      }
    });
    child.once("close", () => clearTimeout(timer));
  });
}

async function answerQuote(
  options: LaunchOptions,
  measurement: Uint8Array,
  request: Extract<FromReplica, { kind: "quote-request" }>,
): Promise<ToReplica> {
  const reportData = new Uint8Array(Buffer.from(request.reportData, "base64"));
  if (reportData.length !== 64) return { kind: "quote-failed", id: request.id };
  const asked = {
    reportData,
    mrenclave: measurement,
    // There is no SIGSTRUCT in the simulation, so nobody signed the enclave: MRSIGNER stays zero.
    mrsigner: new Uint8Array(32),
    isvProdId: options.manifest.isvProdId,
    isvSvn: options.manifest.isvSvn,
    debug: options.debug ?? false,
  };
  try {
    const quote = await options.platform.quote(asked);
    return { kind: "quote", id: request.id, quote: asBuffer(quote).toString("base64") };
  } catch {
    return { kind: "quote-failed", id: request.id };
  }
}

/** The replica itself gave up; `replicaCode` is its coded reason, for example `MEASUREMENT_NOT_ALLOWED`. */
export class ReplicaRefusal extends EnclaveError {
  readonly replicaCode: string;

  constructor(replicaCode: string, detail: string) {
    super("REPLICA_REFUSED", {
      what: `the replica gave up with ${replicaCode}`,
      why: detail,
      remedy: "see the replica's log and the broker's release log",
    });
    this.replicaCode = replicaCode;
  }
}

function startTimeout(timeoutMs: number): EnclaveError {
  return new EnclaveError("REPLICA_START_TIMEOUT", {
    what: "the replica did not become READY",
    why: `it took longer than ${timeoutMs} ms`,
    remedy: "see its log; raise the time-out for large models",
  });
}

function exitedEarly(cause?: unknown): EnclaveError {
  return new EnclaveError(
    "REPLICA_EXITED",
    {
      what: "the replica ended before it was READY",
      why: "its process exited without a reason that it could still report",
      remedy: "see its log",
    },
    { cause },
  );
}
