import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiCall, ClusterApi } from "./api.ts";
import { answeredWith } from "./api-errors.ts";
import { findStale, pruneObjects } from "./prune.ts";

const deployment = { namespace: "cloister", name: "serving" };

interface Item {
  readonly name: string;
  readonly namespace?: string;
  readonly by?: string;
}

/** A cluster by its lists, as the label selector leaves them. It keeps what was asked of it. */
function cluster(lists: Readonly<Record<string, readonly Item[]>>) {
  const deleted: ApiCall[] = [];
  const call = (request: ApiCall): Promise<unknown> => {
    if (request.method === "DELETE") return Promise.resolve(void deleted.push(request));
    assert.match(request.query?.["labelSelector"] ?? "", /instance=serving,cloister\.local\/namespace=cloister$/);
    const items = lists[request.path];
    if (items === undefined) return Promise.reject(answeredWith(request, 404, ""));
    return Promise.resolve({
      items: items.map(({ name, namespace, by = "cloister" }) => ({
        metadata: { name, namespace, uid: `uid of ${name}`, managedFields: [{ operation: "Apply", manager: by }] },
      })),
    });
  };
  return { deleted, api: { call } as unknown as ClusterApi };
}

const inside = (name: string, by?: string): Item => ({ name, namespace: "cloister", ...(by !== undefined && { by }) });
const stale = async (lists: Parameters<typeof cluster>[0], rendered: readonly string[] = [], storage = false) => {
  const found = await findStale({ api: cluster(lists).api, deployment, rendered: new Set(rendered), storage });
  return found.map(({ path }) => path);
};

test("what is rendered stays, what we applied and render no more goes", async () => {
  const autoscalers = "/apis/autoscaling/v2/horizontalpodautoscalers";
  const path = "/apis/autoscaling/v2/namespaces/cloister/horizontalpodautoscalers/serving";
  assert.deepEqual(await stale({ [autoscalers]: [inside("serving")] }, [path]), []);
  assert.deepEqual(await stale({ [autoscalers]: [inside("serving")] }), [path]);
});

test("what somebody else made under our labels stays: a controller copies a Service's labels to its slices", async () => {
  const slices = "/apis/discovery.k8s.io/v1/endpointslices";
  const lists = { [slices]: [inside("serving-x1", "kube-controller-manager"), inside("cloister-broker")] };
  const expected = ["/apis/discovery.k8s.io/v1/namespaces/cloister/endpointslices/cloister-broker"];
  assert.deepEqual(await stale(lists), expected);
});

test("no Secret, no own namespace; volumes and claims only when asked to", async () => {
  const lists = {
    "/api/v1/secrets": [inside("simulated-platform")],
    "/api/v1/namespaces": [{ name: "cloister" }, { name: "cloister-simulated-sgx" }],
    "/api/v1/persistentvolumeclaims": [inside("serving-broker")],
  };
  assert.deepEqual(await stale(lists), ["/api/v1/namespaces/cloister-simulated-sgx"]);
  assert.deepEqual(await stale(lists, [], true), [
    "/api/v1/namespaces/cloister/persistentvolumeclaims/serving-broker",
    "/api/v1/namespaces/cloister-simulated-sgx",
  ]);
});

test("what is pruned is the object that was found, not one that took its name", async () => {
  const { api, deleted } = cluster({ "/api/v1/services": [inside("cloister-broker")] });
  await pruneObjects(api, await findStale({ api, deployment, rendered: new Set(), storage: false }));
  assert.deepEqual(
    deleted.map(({ path, body }) => [path, (body as { preconditions: object }).preconditions]),
    [["/api/v1/namespaces/cloister/services/cloister-broker", { uid: "uid of cloister-broker" }]],
  );
});
