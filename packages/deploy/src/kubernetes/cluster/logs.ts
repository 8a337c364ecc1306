import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { ClusterApi } from "./api.ts";
import { type DeploymentName, listPods } from "./pods.ts";

export interface LogOptions {
  readonly api: ClusterApi;
  readonly deployment: DeploymentName;
  /** One replica only. */
  readonly pod?: string;
  readonly follow: boolean;
  readonly tailLines: number;
  readonly onLine: (pod: string, line: string) => void;
  readonly signal?: AbortSignal;
}

/** The replicas' logs, all at the same time. They hold no secrets. Resolves when all have ended. */
export async function readLogs(options: LogOptions): Promise<void> {
  const { api, deployment, pod, follow, tailLines, onLine, signal } = options;
  const pods = await listPods(api, deployment);
  const wanted = pods.filter(({ name, state }) => (pod === undefined || name === pod) && state !== "Unscheduled");
  await Promise.all(
    wanted.map(async ({ name }) => {
      const stream = await api.stream({
        method: "GET",
        path: `/api/v1/namespaces/${deployment.namespace}/pods/${name}/log`,
        query: { container: "serving", follow: String(follow), tailLines: String(tailLines) },
        ...(signal !== undefined && { signal }),
      });
      for await (const line of createInterface({ input: Readable.from(stream) })) onLine(name, line);
    }),
  );
}
