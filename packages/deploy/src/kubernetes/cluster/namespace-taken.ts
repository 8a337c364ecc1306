import { DeployError } from "../../errors.ts";
import { PART_OF } from "../api-object.ts";
import type { ClusterApi } from "./api.ts";
import type { DeploymentName } from "./pods.ts";

const WORKLOADS = ["deployments", "statefulsets"];

/**
 * Throws `NAMESPACE_TAKEN` where a deployment of ours under another name is in the namespace. The namespace itself, the broker's
 * Service and the simulated plugin are one for each namespace: the second would take them over, and take them away when it is deleted.
 */
export async function refuseTakenNamespace(api: ClusterApi, { namespace, name }: DeploymentName): Promise<void> {
  const labelSelector = `app.kubernetes.io/part-of=${PART_OF},app.kubernetes.io/instance!=${name}`;
  for (const kind of WORKLOADS) {
    const path = `/apis/apps/v1/namespaces/${namespace}/${kind}`;
    const { items } = await api.call<{ items: { metadata: { labels: Record<string, string> } }[] }>({
      method: "GET",
      path,
      query: { labelSelector, limit: "1" },
    });
    const other = items[0]?.metadata.labels["app.kubernetes.io/instance"];
    if (other !== undefined) throw namespaceTaken(namespace, other);
  }
}

function namespaceTaken(namespace: string, other: string): DeployError {
  return new DeployError("NAMESPACE_TAKEN", {
    what: "nothing was applied",
    why: `the namespace ${namespace} has the deployment ${other} in it, and a namespace holds one`,
    remedy: `choose another --namespace, or take that one away: cloister deploy delete --name ${other}`,
  });
}
