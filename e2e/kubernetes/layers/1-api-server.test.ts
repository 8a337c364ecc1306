// The real API server: schemas, server-side apply, admission, RBAC, the Gateway API. Pods do not matter here.
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { isCodedError } from "@cloister/encoding";
import { applyObjects, deleteDeployment } from "@cloister/deploy/cluster";
import { type KubernetesInput, readSettings, renderObjects, valuesOf } from "@cloister/deploy/kubernetes";
import { encodeManifest, replicaManifest } from "@cloister/enclave";
import { connectRig, type ConnectedRig, gatewayDefinitions, installGatewayApi } from "../rig/connected.ts";
import { strictSchemas } from "../schemas.ts";
import { ROOT } from "../rig/images.ts";
import { cli } from "../rig/owner.ts";
import { waitFor } from "../rig/process.ts";

const SCHEMAS = join(ROOT, "packages/deploy/src/kubernetes/schemas/kubernetes.json");
const GROUPS = [
  "api/v1",
  "apis/apps/v1",
  "apis/autoscaling/v2",
  "apis/policy/v1",
  "apis/networking.k8s.io/v1",
  "apis/discovery.k8s.io/v1",
  "apis/rbac.authorization.k8s.io/v1",
  "apis/admissionregistration.k8s.io/v1",
  "apis/apiregistration.k8s.io/v1",
];
const KINDS = new Set([
  ...["Namespace", "ServiceAccount", "ConfigMap", "Service", "PersistentVolume", "PersistentVolumeClaim"].map(
    (kind) => `v1/${kind}`,
  ),
  ...["Deployment", "DaemonSet", "StatefulSet"].map((kind) => `apps/v1/${kind}`),
  "autoscaling/v2/HorizontalPodAutoscaler",
  "policy/v1/PodDisruptionBudget",
  "networking.k8s.io/v1/NetworkPolicy",
  "networking.k8s.io/v1/Ingress",
  "discovery.k8s.io/v1/EndpointSlice",
  ...["ClusterRole", "ClusterRoleBinding", "RoleBinding"].map((kind) => `rbac.authorization.k8s.io/v1/${kind}`),
  ...["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"].map(
    (kind) => `admissionregistration.k8s.io/v1/${kind}`,
  ),
  "apiregistration.k8s.io/v1/APIService",
  ...["Gateway", "TLSRoute"].map((kind) => `gateway.networking.k8s.io/v1/${kind}`),
]);

let rig: ConnectedRig;
before(async () => {
  rig = await connectRig();
  await installGatewayApi(rig);
});

const objectsOf = (more: Partial<KubernetesInput>) =>
  renderObjects(
    valuesOf(
      readSettings({
        image: `registry.example/cloister@sha256:${"ab".repeat(32)}`,
        measurement: "cd".repeat(32),
        model: { name: "digits" },
        broker: { kind: "endpoint", ip: "192.0.2.7" },
        // Its pods would ask for an image that is nowhere.
        autoscaling: { adapter: more.preset === "simulation" },
        ...more,
      }),
      "{}",
    ),
  );

const apply = (objects: ReturnType<typeof objectsOf>, more: { dryRun?: boolean; force?: boolean } = {}) =>
  applyObjects({ api: rig.api, objects, dryRun: false, force: false, onChange: () => undefined, ...more });

const refusedWith = (code: string, reason: RegExp) => (error: unknown) =>
  isCodedError(error) && error.code === code && reason.test(error.message);

test("the committed schemas are those of this API server and of the pinned Gateway API", async () => {
  const { version, text } = await gatewayDefinitions();
  const documents = await Promise.all(
    GROUPS.map(async (group) => JSON.parse(await rig.kubectl("get", "--raw", `/openapi/v3/${group}`)) as object),
  );
  const { serverVersion } = JSON.parse(await rig.kubectl("version", "-o", "json")) as {
    serverVersion: { gitVersion: string };
  };
  const versions = { kubernetes: serverVersion.gitVersion, "gateway-api": version };
  const found = strictSchemas(documents, text, KINDS, versions);
  assert.deepEqual(Object.keys(found.kinds), [...KINDS].sort());
  if (process.env["UPDATE_SCHEMAS"] === "1") await writeFile(SCHEMAS, `${JSON.stringify(found)}\n`);
  assert.deepEqual(found, JSON.parse(await readFile(SCHEMAS, "utf8")));
});

for (const preset of ["simulation", "sgx-intel", "sgx-aks", "alibaba", "tencent"] as const) {
  test(`${preset}: a dry run changes nothing, apply is idempotent, delete leaves nothing`, async () => {
    const namespace = `layer-2-${preset}`;
    const objects = objectsOf({ preset, namespace });
    await apply(objects, { dryRun: true });
    assert.equal(await rig.kubectl("get", "namespace", namespace, "--ignore-not-found"), "");
    const first = await apply(objects);
    assert.ok(
      first.every(({ change }) => change === "created"),
      JSON.stringify(first),
    );
    const again = await apply(objects);
    assert.deepEqual(
      again.filter(({ change }) => change !== "unchanged"),
      [],
    );
    const changed = await apply(objectsOf({ preset, namespace, cpu: "2" }), { dryRun: true });
    assert.deepEqual(
      changed
        .filter(({ change }) => change === "changed")
        .map(({ object, steps }) => [object, steps.map(({ path }) => path)]),
      [[`Deployment ${namespace}/serving`, ["/spec/template/spec/containers/0/resources/requests/cpu"]]],
    );
    await deleteDeployment({
      api: rig.api,
      deployment: { namespace, name: "serving" },
      timeoutMs: 120_000,
      onDeleted: () => undefined,
    });
    const kinds =
      "namespaces,clusterroles,clusterrolebindings,apiservices,validatingadmissionpolicies,persistentvolumes";
    assert.equal(await rig.kubectl("get", kinds, "-l", `cloister.local/namespace=${namespace}`, "-o", "name"), "");
    assert.equal(
      await rig.kubectl(
        "-n",
        "kube-system",
        "get",
        "rolebindings",
        "-l",
        `cloister.local/namespace=${namespace}`,
        "-o",
        "name",
      ),
      "",
    );
  });
}

test("admission refuses a tag, a missing measurement, privileges and devices by path, and lets what we rendered pass", async () => {
  const namespace = "layer-2-admission";
  const objects = objectsOf({ preset: "sgx-intel", namespace });
  await apply(objects);
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments/serving`;
  const patch = (spec: object) =>
    rig.api.call({
      method: "PATCH",
      path,
      query: { dryRun: "All" },
      contentType: "application/strategic-merge-patch+json",
      body: { spec: { template: spec } },
    });
  const container = (more: object) => patch({ spec: { containers: [{ name: "serving", ...more }] } });
  // A policy is compiled and takes effect shortly after it was made.
  const endsAt = Date.now() + 60_000;
  for (;;) {
    const error = await container({ image: "registry.example/cloister:latest" }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (error !== undefined || Date.now() > endsAt) {
      assert.ok(refusedWith("CLUSTER_REFUSED", /named by digest/)(error), String(error));
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await assert.rejects(
    container({ securityContext: { privileged: true, allowPrivilegeEscalation: true } }),
    refusedWith("CLUSTER_REFUSED", /not privileged/),
  );
  await assert.rejects(
    patch({ metadata: { annotations: { "cloister.local/measurement": "unknown" } } }),
    refusedWith("CLUSTER_REFUSED", /measurement/),
  );
  await assert.rejects(
    patch({ spec: { volumes: [{ name: "sgx", hostPath: { path: "/dev/sgx" } }] } }),
    refusedWith("CLUSTER_REFUSED", /not mounted by path/),
  );
  await container({ image: `registry.example/cloister@sha256:${"ef".repeat(32)}` });
  await deleteDeployment({
    api: rig.api,
    deployment: { namespace, name: "serving" },
    timeoutMs: 120_000,
    onDeleted: () => undefined,
  });
});

test("accounts may do what they need and nothing else", async () => {
  const namespace = "layer-2-rbac";
  await apply(objectsOf({ namespace, preset: "simulation" }));
  /** "yes" or "no", for which kubectl ends with 1; anything else is told as it is. */
  const canI = async (account: string, ...what: string[]): Promise<string> => {
    const words = ["auth", "can-i", ...what, "--as", `system:serviceaccount:${account}`];
    const answer = await rig.kubectl(...words).catch((error: Error) => {
      return (error.cause as { stdout?: string } | undefined)?.stdout ?? error.message;
    });
    return answer.trim();
  };
  const plugin = `${namespace}-simulated-sgx:${namespace}-simulated-sgx`;
  // The authorizer learns of new bindings a moment after they are made.
  await waitFor("the plugin's rights", async () => {
    return (await canI(plugin, "patch", "nodes", "--subresource=status")) === "yes" || undefined;
  });
  assert.equal(await canI(plugin, "delete", "pods", "-n", namespace), "no");
  await waitFor("the adapter's rights", async () => {
    return (await canI(`${namespace}:serving-metrics`, "list", "pods", "-n", namespace)) === "yes" || undefined;
  });
  assert.equal(await canI(`${namespace}:serving-metrics`, "get", "secrets", "-n", namespace), "no");
  assert.equal(await canI(`${namespace}:serving`, "get", "configmaps", "-n", namespace), "no");
  await deleteDeployment({
    api: rig.api,
    deployment: { namespace, name: "serving" },
    timeoutMs: 120_000,
    onDeleted: () => undefined,
  });
});

test("a field of somebody else is a conflict that only force takes over; a misspelt field is refused", async () => {
  const namespace = "layer-2-conflict";
  const objects = objectsOf({ namespace, preset: "sgx-intel", autoscaling: { kind: "none" } });
  await apply(objects);
  await rig.kubectl(
    "-n",
    namespace,
    "patch",
    "service",
    "serving",
    "--field-manager=somebody",
    "--type=merge",
    "-p",
    '{"spec":{"selector":{"app.kubernetes.io/instance":"other"}}}',
  );
  await assert.rejects(apply(objects), refusedWith("CLUSTER_CONFLICT", /somebody/));
  const forced = await apply(objects, { force: true });
  assert.deepEqual(
    forced.filter(({ change }) => change === "changed").map(({ object }) => object),
    [`Service ${namespace}/serving`],
  );
  const service = objects.find(({ file }) => file === "service");
  assert.ok(service !== undefined);
  const misspelt = [{ ...service, object: { ...service.object, spec: { selectors: {} } } }];
  await assert.rejects(apply(misspelt), refusedWith("CLUSTER_REFUSED", /selectors/));
  await deleteDeployment({
    api: rig.api,
    deployment: { namespace, name: "serving" },
    timeoutMs: 120_000,
    onDeleted: () => undefined,
  });
});

test("apply takes away what newer settings do not make, after a dry run has named it, and nothing of others", async () => {
  const namespace = "layer-2-prune";
  const elsewhere = "layer-2-prune-other";
  const common: KubernetesInput = {
    namespace,
    preset: "sgx-intel",
    image: `registry.example/cloister@sha256:${"ab".repeat(32)}`,
    measurement: "cd".repeat(32),
    model: { name: "digits" },
    broker: {},
  };
  const file = (name: string): string => join(rig.folder, `prune-${name}`);
  const broker = { serverName: "attestation.service.com", caPem: "", logKey: "" };
  const installation = { root: ROOT, nodeExecutable: process.execPath };
  const config = { model: { name: "digits", version: 1 }, broker, engineThreads: 1 };
  await writeFile(file("manifest"), encodeManifest(await replicaManifest({ installation, config })));
  const applyFile = async (kubernetes: KubernetesInput, ...more: string[]): Promise<string[]> => {
    await writeFile(file("config"), JSON.stringify({ kubernetes }));
    const flags = ["--config", file("config"), "--kubeconfig", rig.kubeconfig, "--enclave-manifest", file("manifest")];
    const output = await cli("deploy", "apply", ...flags, "--json", "--no-wait", ...more);
    return (JSON.parse(output) as { pruned: string[] }).pruned;
  };
  /** Everything that anybody has under the deployment's labels, by kind and name. */
  const labelled = async (): Promise<string[]> => {
    const selector = `app.kubernetes.io/part-of=cloister,cloister.local/namespace in (${namespace},${elsewhere})`;
    const kinds = [
      "services,endpointslices,networkpolicies,configmaps,deployments,horizontalpodautoscalers,poddisruptionbudgets",
      "serviceaccounts,persistentvolumeclaims,persistentvolumes,gateways,tlsroutes",
      "validatingadmissionpolicies,validatingadmissionpolicybindings",
    ];
    const names = await rig.kubectl("get", kinds.join(","), "-A", "-l", selector, "-o", "name");
    return names.trim().split("\n").sort();
  };
  const rich: KubernetesInput = {
    ...common,
    broker: { kind: "endpoint", ip: "192.0.2.7" },
    autoscaling: { adapter: false },
    modelDelivery: { kind: "azure-files", share: "models", secret: "share-key" },
  };
  const plain: KubernetesInput = {
    ...common,
    autoscaling: { kind: "none" },
    gateway: { kind: "ingress" },
    networkPolicy: false,
    admissionPolicy: false,
  };
  assert.deepEqual(await applyFile(rich), []);
  // What others have there: another deployment of ours, and something that a person made under the same labels.
  await apply(objectsOf({ ...rich, namespace: elsewhere, gateway: { kind: "envoy" } }));
  await assert.rejects(applyFile({ ...plain, name: "other" }), /NAMESPACE_TAKEN/);
  const labels = {
    "app.kubernetes.io/part-of": "cloister",
    "app.kubernetes.io/instance": "serving",
    "cloister.local/namespace": namespace,
  };
  await rig.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "notes", namespace, labels } });
  const slices = await waitFor("the slices that the cluster itself makes", async () => {
    const names = (await labelled()).filter((name) => /endpointslice.*\/serving-/.test(name));
    return names.length === 4 ? names : undefined;
  });
  const before = await labelled();

  const inNamespace = (group: string, path: string): string => `/apis/${group}/namespaces/${namespace}/${path}`;
  const stale = [
    inNamespace("gateway.networking.k8s.io/v1", "tlsroutes/serving"),
    inNamespace("gateway.networking.k8s.io/v1", "gateways/serving"),
    inNamespace("autoscaling/v2", "horizontalpodautoscalers/serving"),
    `/api/v1/namespaces/${namespace}/services/cloister-broker`,
    inNamespace("discovery.k8s.io/v1", "endpointslices/cloister-broker"),
    inNamespace("networking.k8s.io/v1", "networkpolicies/serving"),
    `/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/cloister-${namespace}-serving`,
    `/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/cloister-${namespace}-serving`,
  ];
  assert.deepEqual(await applyFile(plain, "--dry-run"), stale);
  assert.deepEqual(await labelled(), before, "a dry run takes nothing away");
  assert.deepEqual(await applyFile(plain), stale);
  const left = await waitFor("the end of what was pruned", async () => {
    const names = await labelled();
    return names.length === before.length - stale.length ? names : undefined;
  });
  for (const name of [...slices, "configmap/notes"]) assert.ok(left.includes(name), `${name} is not ours to take`);
  const count = (names: readonly string[], wanted: string) => names.filter((name) => name === wanted).length;
  assert.equal(count(before, "service/cloister-broker"), 2);
  assert.equal(count(left, "service/cloister-broker"), 1, "that of another namespace stays");
  assert.ok(left.includes(`persistentvolumeclaim/${namespace}-serving-models`), "storage goes only when asked to");
  assert.deepEqual(await applyFile(plain), []);
  assert.deepEqual(await applyFile(plain, "--prune-storage"), [
    `/api/v1/namespaces/${namespace}/persistentvolumeclaims/${namespace}-serving-models`,
    `/api/v1/persistentvolumes/${namespace}-serving-models`,
  ]);
  for (const each of [namespace, elsewhere]) {
    const deployment = { namespace: each, name: "serving" };
    await deleteDeployment({ api: rig.api, deployment, timeoutMs: 120_000, onDeleted: () => undefined });
  }
});

test("the Gateway API's own rules hold for what people may set", async () => {
  const namespace = "layer-2-gateway";
  const objects = objectsOf({ namespace, preset: "sgx-intel", gateway: { hostname: "192.0.2.1" } });
  await assert.rejects(apply(objects), refusedWith("CLUSTER_REFUSED", /IP|hostname/i));
  await deleteDeployment({
    api: rig.api,
    deployment: { namespace, name: "serving" },
    timeoutMs: 120_000,
    onDeleted: () => undefined,
  });
});
