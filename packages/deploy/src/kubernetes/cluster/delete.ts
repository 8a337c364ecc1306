import { setTimeout as sleep } from "node:timers/promises";
import { DeployError } from "../../errors.ts";
import { DOMAIN, PART_OF } from "../api-object.ts";
import type { ClusterApi } from "./api.ts";
import type { DeploymentName } from "./pods.ts";

const PERIOD_MS = 300;

/**
 * Where our objects can be, in the order in which they go: first what sends traffic and what scales, then the pods, then what
 * they need. The custom metrics API goes before its server, or nobody can list what a namespace holds.
 */
const PLACES = [
  "/apis/apiregistration.k8s.io/v1/apiservices",
  "/apis/gateway.networking.k8s.io/v1/tlsroutes",
  "/apis/gateway.networking.k8s.io/v1/gateways",
  "/apis/networking.k8s.io/v1/ingresses",
  "/apis/keda.sh/v1alpha1/scaledobjects",
  "/apis/autoscaling/v2/horizontalpodautoscalers",
  "/apis/apps/v1/deployments",
  "/apis/apps/v1/daemonsets",
  "/apis/policy/v1/poddisruptionbudgets",
  "/api/v1/services",
  "/apis/discovery.k8s.io/v1/endpointslices",
  "/apis/networking.k8s.io/v1/networkpolicies",
  "/api/v1/configmaps",
  "/api/v1/secrets",
  "/api/v1/serviceaccounts",
  "/api/v1/persistentvolumeclaims",
  "/api/v1/persistentvolumes",
  "/apis/rbac.authorization.k8s.io/v1/rolebindings",
  "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
  "/apis/rbac.authorization.k8s.io/v1/clusterroles",
  "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
  "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
  "/api/v1/namespaces",
] as const;

interface Found {
  readonly path: string;
  readonly uid: string;
}

export interface DeleteOptions {
  readonly api: ClusterApi;
  readonly deployment: DeploymentName;
  readonly timeoutMs: number;
  readonly onDeleted: (path: string) => void;
}

/**
 * Deletes every object of a deployment, wherever it is, found by labels: also what earlier settings made. Secrets that `apply`
 * made are among them, and the namespace where it was made by us. Resolves when all are gone; doing it again does nothing.
 * Throws `DELETE_TIMEOUT`.
 */
export async function deleteDeployment(options: DeleteOptions): Promise<number> {
  const endsAt = Date.now() + options.timeoutMs;
  let count = 0;
  for (const place of PLACES) {
    const found = await findObjects(options.api, place, options.deployment);
    for (const object of found) {
      await deleteObject(options.api, object);
      count += 1;
    }
    for (const object of found) {
      await waitUntilGone(options, object, endsAt);
      options.onDeleted(object.path);
    }
  }
  return count;
}

/** What is left of a deployment; nothing after `deleteDeployment`. */
async function findObjects(api: ClusterApi, place: string, { namespace, name }: DeploymentName): Promise<Found[]> {
  type Item = { metadata: { name: string; namespace?: string; uid: string } };
  const labelSelector = [
    `app.kubernetes.io/part-of=${PART_OF}`,
    `app.kubernetes.io/instance=${name}`,
    `${DOMAIN}/namespace=${namespace}`,
  ].join(",");
  try {
    const { items } = await api.call<{ items: Item[] }>({ method: "GET", path: place, query: { labelSelector } });
    return items.map(({ metadata }) => ({ path: pathIn(place, metadata), uid: metadata.uid }));
  } catch (error) {
    // A kind that the cluster does not know.
    if (error instanceof DeployError && error.code === "CLUSTER_OBJECT_MISSING") return [];
    throw error;
  }
}

function pathIn(place: string, { name, namespace }: { name: string; namespace?: string }): string {
  if (namespace === undefined) return `${place}/${name}`;
  const at = place.lastIndexOf("/");
  return `${place.slice(0, at)}/namespaces/${namespace}${place.slice(at)}/${name}`;
}

async function deleteObject(api: ClusterApi, { path, uid }: Found): Promise<void> {
  try {
    await api.call({ method: "DELETE", path, body: { propagationPolicy: "Foreground", preconditions: { uid } } });
  } catch (error) {
    if (!(error instanceof DeployError && error.code === "CLUSTER_OBJECT_MISSING")) throw error;
  }
}

async function waitUntilGone(options: DeleteOptions, { path, uid }: Found, endsAt: number): Promise<void> {
  for (;;) {
    const live = await options.api.find<{ metadata: { uid: string } }>(path);
    if (live?.metadata.uid !== uid) return;
    if (Date.now() > endsAt) {
      throw new DeployError("DELETE_TIMEOUT", {
        what: `${path} is still there`,
        why: `it did not go within ${Math.round(options.timeoutMs / 1000)} s`,
        remedy: "see what holds it (finalizers, volumes in use) and delete again",
      });
    }
    await sleep(PERIOD_MS);
  }
}
