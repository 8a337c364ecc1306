import { setTimeout as sleep } from "node:timers/promises";
import { DeployError } from "../../errors.ts";
import type { ClusterApi } from "./api.ts";
import { type DeploymentName, listPods, readDeployment, type ReplicaPod } from "./pods.ts";

const PERIOD_MS = 500;

export interface RolloutOptions {
  readonly api: ClusterApi;
  readonly deployment: DeploymentName;
  readonly timeoutMs: number;
  /** Told each time a replica's state changes. */
  readonly onPod: (pod: ReplicaPod) => void;
  readonly signal?: AbortSignal;
}

/**
 * Waits until every replica that is wanted is of the present version and READY, and those before are gone. An API server that
 * is away for a while is waited for too. Throws `ROLLOUT_TIMEOUT` with the reason of a replica that is not READY, or
 * `CLUSTER_UNREACHABLE`.
 */
export async function waitForRollout(options: RolloutOptions): Promise<ReplicaPod[]> {
  const endsAt = Date.now() + options.timeoutMs;
  const known = new Map<string, string>();
  const look = async (): Promise<{ pods: ReplicaPod[]; isDone: boolean }> => {
    const pods = await listPods(options.api, options.deployment);
    for (const pod of pods) {
      const state = `${pod.state} ${pod.reason}`;
      if (known.get(pod.name) !== state) options.onPod(pod);
      known.set(pod.name, state);
    }
    return { pods, isDone: await isRolledOut(options.api, options.deployment) };
  };
  for (;;) {
    const isLast = (): boolean => Date.now() > endsAt || options.signal?.aborted === true;
    try {
      const { pods, isDone } = await look();
      if (isDone) return pods;
      if (isLast()) throw timedOut(options.timeoutMs, pods);
    } catch (error) {
      const isAway = error instanceof DeployError && error.code === "CLUSTER_UNREACHABLE";
      if (!isAway || isLast()) throw error;
    }
    await sleep(PERIOD_MS);
  }
}

async function isRolledOut(api: ClusterApi, which: DeploymentName): Promise<boolean> {
  const { metadata, spec, status } = await readDeployment(api, which);
  const wanted = spec?.replicas ?? 1;
  const isSeen = (status?.observedGeneration ?? 0) >= (metadata?.generation ?? 0);
  const counts = [status?.updatedReplicas ?? 0, status?.availableReplicas ?? 0, status?.replicas ?? 0];
  return isSeen && counts.every((count) => count === wanted);
}

function timedOut(timeoutMs: number, pods: readonly ReplicaPod[]): DeployError {
  const late = pods.find(({ state }) => state !== "READY" && state !== "Ending");
  const why = late === undefined ? "no replica was started" : `${late.name} is ${late.state} ${late.reason}`.trim();
  return new DeployError("ROLLOUT_TIMEOUT", {
    what: `the replicas did not become READY within ${Math.round(timeoutMs / 1000)} s`,
    why,
    remedy: "see cloister deploy status and logs; a code of the broker stands in its release log too",
  });
}
