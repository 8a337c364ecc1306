import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterApi } from "./api.ts";
import { unreachable } from "./api-errors.ts";
import { waitForRollout } from "./rollout.ts";

const deployment = { namespace: "cloister", name: "serving" };
const pods = { items: [{ metadata: { name: "serving-1" }, status: { phase: "Running" } }] };
const rolledOut = {
  metadata: { generation: 2 },
  spec: { replicas: 1 },
  status: { observedGeneration: 2, updatedReplicas: 1, availableReplicas: 1, replicas: 1 },
};

/** An API server that is away for its first calls. */
function apiAwayFor(calls: number): ClusterApi {
  let left = calls;
  const call = ({ path }: { path: string }): Promise<unknown> => {
    left -= 1;
    if (left >= 0) return Promise.reject(unreachable("it restarts"));
    return Promise.resolve(path.endsWith("/pods") ? pods : rolledOut);
  };
  return { call } as unknown as ClusterApi;
}

const wait = (api: ClusterApi, timeoutMs: number) =>
  waitForRollout({ api, deployment, timeoutMs, onPod: () => undefined });

test("an API server that is away while replicas start is waited for", async () => {
  const replicas = await wait(apiAwayFor(1), 600_000);
  assert.deepEqual(
    replicas.map(({ name }) => name),
    ["serving-1"],
  );
});

test("one that stays away is told when the time is over", async () => {
  await assert.rejects(wait(apiAwayFor(Number.POSITIVE_INFINITY), -1), { code: "CLUSTER_UNREACHABLE" });
});
