import { toHex } from "@cloister/encoding";
import type { Gateway } from "../gateway/gateway.ts";
import { type LocalCluster, startLocalCluster } from "../local/local-cluster.ts";
import type { ReplicaLauncher } from "../local/replica-launcher.ts";
import type { Observe, StepResult } from "./events.ts";

const SHOWN_MEASUREMENT_DIGITS = 16;

export interface ReplicasOptions {
  readonly replicas: number;
  readonly gateway: Gateway;
  readonly launch: ReplicaLauncher;
  readonly observe: Observe;
}

/** Starts all replicas and keeps them running. */
export async function replicasStep({ observe, ...options }: ReplicasOptions): Promise<StepResult<LocalCluster>> {
  const cluster = await startLocalCluster({
    ...options,
    onEvent: (event) => {
      const text = event.type === "start-failed" ? `start failed: ${event.code}` : event.type;
      observe({ type: "replica", replica: event.replica, text });
    },
  });
  const facts = [...cluster.running].map(([id, { pid, measurement }]) => {
    const shown = toHex(measurement).slice(0, SHOWN_MEASUREMENT_DIGITS);
    return `${id}: process ${pid}, SIMULATED TEE, MRENCLAVE ${shown}…`;
  });
  return { result: cluster, facts };
}
