import assert from "node:assert/strict";
import { test } from "node:test";
import { DeployError } from "../../errors.ts";
import type { ApiCall, ClusterApi } from "./api.ts";
import { refuseTakenNamespace } from "./namespace-taken.ts";

/** A namespace with workloads of ours, by kind. The server does what the label selector says. */
function clusterWith(workloads: Readonly<Record<string, readonly string[]>>): ClusterApi {
  const call = ({ path, query }: ApiCall): Promise<unknown> => {
    const [, kind = ""] = /^\/apis\/apps\/v1\/namespaces\/models\/(\w+)$/.exec(path) ?? [];
    const [, own] = /part-of=cloister,app\.kubernetes\.io\/instance!=(\S+)$/.exec(query?.["labelSelector"] ?? "") ?? [];
    const names = (workloads[kind] ?? []).filter((name) => name !== own);
    const items = names.map((name) => ({ metadata: { labels: { "app.kubernetes.io/instance": name } } }));
    return Promise.resolve({ items });
  };
  return { call } as unknown as ClusterApi;
}

const which = { namespace: "models", name: "serving" };

test("an empty namespace and one with the deployment itself are taken as they are", async () => {
  await refuseTakenNamespace(clusterWith({}), which);
  await refuseTakenNamespace(clusterWith({ deployments: ["serving"], statefulsets: ["serving"] }), which);
});

for (const kind of ["deployments", "statefulsets"]) {
  test(`another deployment's ${kind} are refused, and it is named`, async () => {
    await assert.rejects(
      refuseTakenNamespace(clusterWith({ [kind]: ["serving", "other"] }), which),
      (error) => error instanceof DeployError && error.code === "NAMESPACE_TAKEN" && error.message.includes("other"),
    );
  });
}
