import type { Gateway } from "../gateway/gateway.ts";
import { type LocalCluster, startLocalCluster } from "../local/local-cluster.ts";
import type { ReplicaLauncher } from "../local/replica-launcher.ts";
import type { OwnerBroker } from "./broker.ts";
import type { Observe, StepResult } from "./events.ts";

export interface ReplicasOptions {
  readonly replicas: number;
  readonly gateway: Gateway;
  readonly launch: ReplicaLauncher;
  readonly broker: OwnerBroker;
  readonly observe: Observe;
}

/** Starts all replicas and keeps them running. */
export async function replicasStep({
  observe,
  broker,
  ...options
}: ReplicasOptions): Promise<StepResult<LocalCluster>> {
  const cluster = await startLocalCluster({
    ...options,
    onEvent: (event) => {
      const text = event.type === "start-failed" ? `start failed: ${event.code}` : event.type;
      observe({ type: "replica", replica: event.replica, text });
    },
  });
  const replicas = [...cluster.running].map(([id, { pid, generation }]) => {
    return `${id}: process ${pid} in a SIMULATED TEE; every model file verified against the manifest of generation ${generation}`;
  });
  return { result: cluster, facts: [...(await broker.describeReleases()), ...replicas] };
}
