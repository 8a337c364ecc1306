import { once } from "node:events";
import { EnclaveError } from "../errors.ts";
import type { HostOptions } from "../manifest/host-options.ts";
import type { EnclaveManifest } from "../manifest/manifest.ts";
import type { Installation } from "../manifest/runtime-files.ts";
import { launchSimulated } from "./launch.ts";
import type { QuoteSource } from "./quoting/protocol.ts";

/** What a start takes beside the waiting for a broker: opening and loading a large model. */
const LOAD_TIMEOUT_MS = 600_000;
const MS_PER_SECOND = 1000;

export interface RunSimulatedOptions {
  readonly platform: QuoteSource;
  readonly installation: Installation;
  readonly manifest: EnclaveManifest;
  readonly hostOptions: HostOptions;
}

/**
 * Runs one replica on a SIMULATED platform until SIGTERM or SIGINT: this process is the platform, the replica is its child.
 * Throws what refused the replica, and `REPLICA_EXITED` where it ended by itself.
 */
export async function runSimulated(options: RunSimulatedOptions): Promise<void> {
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.once("SIGTERM", stop).once("SIGINT", stop);
  try {
    const waitMs = (options.hostOptions.waitForBrokerSeconds ?? 0) * MS_PER_SECOND;
    const replica = await launchSimulated({
      ...options,
      startTimeoutMs: waitMs + LOAD_TIMEOUT_MS,
      signal: stopping.signal,
    });
    const stopped = stopping.signal.aborted ? Promise.resolve() : once(stopping.signal, "abort");
    const hasEnded = await Promise.race([replica.exited.then(() => true), stopped.then(() => false)]);
    if (hasEnded && !stopping.signal.aborted) throw ended();
    await replica.stop();
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
  } finally {
    process.off("SIGTERM", stop).off("SIGINT", stop);
  }
}

function ended(): EnclaveError {
  return new EnclaveError("REPLICA_EXITED", {
    what: "the replica ended",
    why: "its lease ended, its model was revoked, or it failed",
    remedy: "see the last lines of its log; a new start is admitted anew",
  });
}
