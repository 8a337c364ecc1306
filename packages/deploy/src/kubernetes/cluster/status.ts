import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterApi } from "./api.ts";
import { type DeploymentName, listPods, type ReplicaPod } from "./pods.ts";

/** Port on which replicas tell about themselves. */
const HEALTH_PORT = 8502;
const REQUESTS = ":tensorflow:serving:request_count";
const RUNNING = ":cloister:running_calls";

export interface ReplicaStatus extends ReplicaPod {
  /** As the replica tells itself; null where it cannot be asked. */
  readonly platform: string | null;
  readonly simulated: boolean | null;
  readonly model: { readonly name: string; readonly version: number; readonly generation: number | null } | null;
  readonly requests: number | null;
  readonly runningCalls: number | null;
  readonly requestsPerSecond: number | null;
}

interface Told {
  readonly platform: string;
  readonly simulated: boolean;
  readonly model: { readonly name: string; readonly version: number; readonly generation: number | null };
}

/** What replicas are at, asked twice over `windowMs` for their rate. They are reached through the API server, which nobody has to trust. */
export async function replicaStatus(
  api: ClusterApi,
  which: DeploymentName,
  windowMs: number,
): Promise<ReplicaStatus[]> {
  const pods = await listPods(api, which);
  const first = await Promise.all(pods.map((pod) => readCounters(api, which, pod)));
  const startedAt = performance.now();
  await sleep(windowMs);
  const second = await Promise.all(pods.map((pod) => readCounters(api, which, pod)));
  const seconds = (performance.now() - startedAt) / 1000;
  const told = await Promise.all(pods.map((pod) => ask<Told>(api, which, pod, "status")));
  const described = (pod: ReplicaPod, index: number): ReplicaStatus => {
    const [before, after] = [first[index], second[index]];
    const isCounted = before !== undefined && after !== undefined;
    return {
      ...pod,
      platform: told[index]?.platform ?? null,
      simulated: told[index]?.simulated ?? null,
      model: told[index]?.model ?? null,
      requests: after?.requests ?? null,
      runningCalls: after?.running ?? null,
      requestsPerSecond: isCounted ? Math.round(((after.requests - before.requests) / seconds) * 10) / 10 : null,
    };
  };
  return pods.map(described);
}

async function readCounters(api: ClusterApi, which: DeploymentName, pod: ReplicaPod) {
  const text = await askText(api, which, pod, "metrics");
  if (text === undefined) return undefined;
  return { requests: sumOf(text, REQUESTS), running: sumOf(text, RUNNING) };
}

/** Sum of a metric over its labels, in Prometheus' text. */
export function sumOf(text: string, metric: string): number {
  return text
    .split("\n")
    .filter((line) => line.startsWith(metric) && /^[ {]/.test(line.slice(metric.length)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

async function ask<T>(api: ClusterApi, which: DeploymentName, pod: ReplicaPod, page: string): Promise<T | undefined> {
  const text = await askText(api, which, pod, page);
  return text === undefined ? undefined : (JSON.parse(text) as T);
}

/** A replica that starts or ends cannot be asked; that is no failure of the status. */
async function askText(
  api: ClusterApi,
  { namespace }: DeploymentName,
  { name, address }: ReplicaPod,
  page: string,
): Promise<string | undefined> {
  if (address === "") return undefined;
  const path = `/api/v1/namespaces/${namespace}/pods/${name}:${HEALTH_PORT}/proxy/${page}`;
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of await api.stream({ method: "GET", path })) chunks.push(chunk);
    return Buffer.concat(chunks).toString("utf8");
  } catch {
    return undefined;
  }
}
