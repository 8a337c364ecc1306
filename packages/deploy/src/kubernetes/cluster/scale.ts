import type { V2HorizontalPodAutoscaler } from "@kubernetes/client-node";
import type { ClusterApi } from "./api.ts";
import { type DeploymentName, deploymentPath } from "./pods.ts";

const MERGE_PATCH = "application/merge-patch+json";

/**
 * Sets the number of replicas. Where an autoscaler runs, it becomes the least number, and the greatest grows with it where it
 * has to: a number of our own would be overruled within seconds. Tells which of the two it was.
 */
export async function scaleDeployment(
  api: ClusterApi,
  which: DeploymentName,
  replicas: number,
): Promise<"deployment" | "autoscaler"> {
  const path = `/apis/autoscaling/v2/namespaces/${which.namespace}/horizontalpodautoscalers/${which.name}`;
  const autoscaler = await api.find<V2HorizontalPodAutoscaler>(path);
  await api.call({
    method: "PATCH",
    path: `${deploymentPath(which)}/scale`,
    contentType: MERGE_PATCH,
    body: { spec: { replicas } },
  });
  if (autoscaler === undefined) return "deployment";
  const maxReplicas = Math.max(replicas, autoscaler.spec?.maxReplicas ?? replicas);
  await api.call({
    method: "PATCH",
    path,
    contentType: MERGE_PATCH,
    body: { spec: { minReplicas: replicas, maxReplicas } },
  });
  return "autoscaler";
}
