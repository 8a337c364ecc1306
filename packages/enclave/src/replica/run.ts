import { startHealth } from "@cloister/broker/health";
import { isCodedError } from "@cloister/encoding";
import type { ReplicaLog } from "./log.ts";
import { type Replica, type ReplicaOptions, startReplica } from "./replica.ts";
import { ReplicaStatus } from "./status.ts";

export interface RunOptions extends Pick<ReplicaOptions, "config" | "hostOptions" | "driver" | "onLost" | "signal"> {
  readonly log: ReplicaLog;
  readonly onPhase?: ReplicaOptions["onPhase"];
}

/**
 * Runs a replica with its log and, where the host asks for it, its probes: alive from the start, ready when it serves. The
 * probes stay up after a failure, so that they can tell its code while the process ends. Throws as `startReplica`.
 */
export async function runReplica(options: RunOptions): Promise<Replica> {
  const { config, hostOptions, driver, log } = options;
  const status = new ReplicaStatus(hostOptions.replicaId, driver, config);
  log("start", { model: config.model.name, version: config.model.version, simulated: driver.simulated });
  let serving = (): string => "";
  const health =
    hostOptions.health &&
    (await startHealth({
      ...hostOptions.health,
      readiness: () => ({ ready: status.state === "ready", reasons: [status.code ?? status.state] }),
      metrics: () => status.metrics() + serving(),
      status: () => status.report(),
    }));
  if (health !== undefined) log("probes", { host: health.address.host, port: health.address.port });
  try {
    const replica = await startReplica({
      ...options,
      onPhase: (name, ms) => {
        log("phase", { name, ms });
        options.onPhase?.(name, ms);
      },
      // Whoever has the release log finds the entry by it.
      onAdmitted: (publicKeySha256) => log("admitted", { publicKeySha256 }),
      onRetry: (code, pauseMs) => {
        status.waiting(code);
        log("waiting", { code, pauseMs });
      },
      onLost: (error) => {
        status.failed(error.code);
        options.onLost(error);
      },
    });
    serving = () => replica.metrics();
    status.ready(replica.generation);
    log("ready", { port: replica.address.port, generation: replica.generation });
    const stop = async (): Promise<void> => {
      status.state = "stopping";
      await replica.stop();
      await health?.close();
    };
    return { ...replica, stop };
  } catch (error) {
    status.failed(isCodedError(error) ? error.code : "INTERNAL");
    throw error;
  }
}
