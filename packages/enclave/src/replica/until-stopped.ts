import { once } from "node:events";
import type { EnclaveError } from "../errors.ts";
import { jsonLog } from "./log.ts";
import { runReplica, type RunOptions } from "./run.ts";

/**
 * Runs a replica in this process, which is inside the TEE, until SIGTERM or SIGINT. Throws what refused it, and `LEASE_ENDED`
 * or `GENERATION_REVOKED` where it may serve no longer.
 */
export async function serveUntilStopped(options: Omit<RunOptions, "log" | "onLost" | "signal">): Promise<void> {
  const { driver, hostOptions } = options;
  const log = jsonLog({ platform: driver.name, replica: hostOptions.replicaId });
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.once("SIGTERM", stop).once("SIGINT", stop);
  try {
    const lost = Promise.withResolvers<EnclaveError>();
    const replica = await runReplica({ ...options, log, onLost: lost.resolve, signal: stopping.signal });
    const stopped = stopping.signal.aborted ? Promise.resolve() : once(stopping.signal, "abort");
    const error = await Promise.race([stopped.then(() => undefined), lost.promise]);
    await replica.stop();
    if (error !== undefined) throw error;
    log("stopped");
  } catch (error) {
    // A stop while it waits for a broker is no failure.
    if (!stopping.signal.aborted) throw error;
    log("stopped");
  } finally {
    process.off("SIGTERM", stop).off("SIGINT", stop);
  }
}
