import type { V1Deployment, V1Pod } from "@kubernetes/client-node";
import { MEASUREMENT_ANNOTATION, DOMAIN } from "../api-object.ts";
import type { ClusterApi } from "./api.ts";

/** Which deployment of a cluster is meant. */
export interface DeploymentName {
  readonly namespace: string;
  readonly name: string;
}

export interface ReplicaPod {
  readonly name: string;
  readonly node: string;
  readonly address: string;
  /** What it is at: `Unscheduled`, `Starting`, `Attesting`, `READY`, `Ending`, `Failed`. */
  readonly state: "Unscheduled" | "Starting" | "Attesting" | "READY" | "Ending" | "Failed";
  /** Why it is not ready, where the cluster or the replica's last words tell. */
  readonly reason: string;
  readonly restarts: number;
  readonly tee: string;
  readonly measurement: string;
  readonly image: string;
}

const MAX_REASON_LENGTH = 300;

export const deploymentPath = ({ namespace, name }: DeploymentName): string =>
  `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;

export function readDeployment(api: ClusterApi, which: DeploymentName): Promise<V1Deployment> {
  return api.call<V1Deployment>({ method: "GET", path: deploymentPath(which) });
}

/** The replicas' pods, by name. */
export async function listPods(api: ClusterApi, { namespace, name }: DeploymentName): Promise<ReplicaPod[]> {
  const { items } = await api.call<{ items: V1Pod[] }>({
    method: "GET",
    path: `/api/v1/namespaces/${namespace}/pods`,
    query: { labelSelector: `app.kubernetes.io/name=cloister-replica,app.kubernetes.io/instance=${name}` },
  });
  return items.map(describePod).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function describePod({ metadata, spec, status }: V1Pod): ReplicaPod {
  const serving = status?.containerStatuses?.find(({ name }) => name === "serving");
  const annotations = metadata?.annotations ?? {};
  return {
    name: metadata?.name ?? "",
    node: spec?.nodeName ?? "",
    address: status?.podIP ?? "",
    state: stateOf({ metadata, spec, status } as V1Pod),
    reason: reasonOf(status, serving),
    restarts: serving?.restartCount ?? 0,
    tee: metadata?.labels?.[`${DOMAIN}/tee`] ?? "",
    measurement: annotations[MEASUREMENT_ANNOTATION] ?? "",
    image: spec?.containers[0]?.image ?? "",
  };
}

function stateOf({ metadata, spec, status }: V1Pod): ReplicaPod["state"] {
  if (metadata?.deletionTimestamp !== undefined) return "Ending";
  if (status?.phase === "Failed") return "Failed";
  if (status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") === true)
    return "READY";
  if (spec?.nodeName === undefined) return "Unscheduled";
  const serving = status?.containerStatuses?.find(({ name }) => name === "serving");
  return serving?.state?.running === undefined ? "Starting" : "Attesting";
}

/** The scheduler's words for a pod without a node; the last words of a replica that ended. */
function reasonOf(status: V1Pod["status"], serving: { state?: object; lastState?: object } | undefined): string {
  type Ended = { terminated?: { message?: string; reason?: string }; waiting?: { message?: string; reason?: string } };
  const unscheduled = status?.conditions?.find(
    ({ type, status: value }) => type === "PodScheduled" && value === "False",
  );
  const now = (serving?.state ?? {}) as Ended;
  const last = (serving?.lastState ?? {}) as Ended;
  const words = now.terminated ?? last.terminated;
  const text =
    unscheduled?.message ?? refusalIn(words?.message) ?? now.waiting?.message ?? now.waiting?.reason ?? words?.reason;
  return (text ?? "").slice(0, MAX_REASON_LENGTH);
}

/** The last log line of a replica that gave up has its code. */
function refusalIn(message: string | undefined): string | undefined {
  for (const line of message?.trim().split("\n").toReversed() ?? []) {
    const [, code] = /"code":"([A-Z0-9_]+)"/.exec(line) ?? /^([A-Z][A-Z0-9_]+): /.exec(line) ?? [];
    if (code !== undefined) return code;
  }
  return undefined;
}
