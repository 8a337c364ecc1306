import { DeployError } from "../../errors.ts";
import { DOMAIN, PART_OF } from "../api-object.ts";
import type { ClusterApi } from "./api.ts";
import type { DeploymentName } from "./pods.ts";

/**
 * Where our objects can be, in the order in which they go: first what sends traffic and what scales, then the pods, then what
 * they need. The custom metrics API goes before its server, or nobody can list what a namespace holds.
 */
export const PLACES = [
  "/apis/apiregistration.k8s.io/v1/apiservices",
  "/apis/gateway.networking.k8s.io/v1/tlsroutes",
  "/apis/gateway.networking.k8s.io/v1/gateways",
  "/apis/networking.k8s.io/v1/ingresses",
  "/apis/keda.sh/v1alpha1/scaledobjects",
  "/apis/autoscaling/v2/horizontalpodautoscalers",
  "/apis/apps/v1/deployments",
  "/apis/apps/v1/daemonsets",
  "/apis/apps/v1/statefulsets",
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

/** An object in the cluster that carries a deployment's labels. */
export interface OwnedObject {
  readonly path: string;
  readonly uid: string;
  readonly name: string;
  /** Who has applied it, by the names that the API server keeps. */
  readonly appliedBy: readonly string[];
}

interface Item {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly managedFields?: readonly { readonly operation?: string; readonly manager?: string }[];
  };
}

/** What a deployment has in one place, by its labels; nothing where the cluster does not know the kind. */
export async function findOwned(
  api: ClusterApi,
  place: string,
  { namespace, name }: DeploymentName,
): Promise<OwnedObject[]> {
  const labelSelector = [
    `app.kubernetes.io/part-of=${PART_OF}`,
    `app.kubernetes.io/instance=${name}`,
    `${DOMAIN}/namespace=${namespace}`,
  ].join(",");
  try {
    const { items } = await api.call<{ items: Item[] }>({ method: "GET", path: place, query: { labelSelector } });
    return items.map(({ metadata }) => ({
      path: pathIn(place, metadata),
      uid: metadata.uid,
      name: metadata.name,
      appliedBy: (metadata.managedFields ?? []).flatMap(({ operation, manager }) =>
        operation === "Apply" && manager !== undefined ? [manager] : [],
      ),
    }));
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

/** Deletes an object, unless another one took its name meanwhile. */
export async function deleteOwned(api: ClusterApi, { path, uid }: Pick<OwnedObject, "path" | "uid">): Promise<void> {
  try {
    await api.call({ method: "DELETE", path, body: { propagationPolicy: "Foreground", preconditions: { uid } } });
  } catch (error) {
    if (!(error instanceof DeployError && error.code === "CLUSTER_OBJECT_MISSING")) throw error;
  }
}
