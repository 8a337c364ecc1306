import { ClusterApi } from "./api.ts";
import { unreachable } from "./api-errors.ts";

export interface ClusterChoice {
  /** Default: `KUBECONFIG`, then the file in the home directory, then the pod's own account. */
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** Opens the way to a cluster. The official client is loaded here and nowhere before: it takes most of a second. */
export async function connectCluster({ kubeconfig, context }: ClusterChoice = {}): Promise<ClusterApi> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
    if (context !== undefined) config.setCurrentContext(context);
  } catch (cause) {
    throw unreachable("the kubeconfig cannot be read", cause);
  }
  return new ClusterApi(config);
}

/** The API server that a pod's own account speaks to. */
export async function connectFromPod(): Promise<ClusterApi> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  config.loadFromCluster();
  return new ClusterApi(config);
}
