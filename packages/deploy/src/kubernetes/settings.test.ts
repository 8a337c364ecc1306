import assert from "node:assert/strict";
import { test } from "node:test";
import { DeployError } from "../errors.ts";
import { renderObjects } from "./objects.ts";
import { type KubernetesInput, readSettings, valuesOf } from "./settings.ts";
import { TEST_MANIFEST, testSettings } from "./testing.ts";
import { PRESETS } from "./values.ts";

const values = (more: Partial<KubernetesInput>, preset?: (typeof PRESETS)[number]) =>
  valuesOf(readSettings(testSettings(more)), TEST_MANIFEST, preset);

function assertRefused(more: object, reason: RegExp): void {
  assert.throws(
    () => values(more),
    (error) =>
      error instanceof DeployError && error.code === "KUBERNETES_SETTINGS_INVALID" && reason.test(error.message),
  );
}

test("enclave memory follows from the model's size, as a power of two, in the unit of each plugin", () => {
  const model = { name: "large", size: "300Mi" };
  assert.equal(values({ model }, "sgx-intel").sgx.epcAmount, String(2 ** 31));
  assert.equal(values({ model }, "alibaba").sgx.epcAmount, "2048");
  assert.equal(values({ model }, "sgx-aks").sgx.epcResource, "kubernetes.azure.com/sgx_epc_mem_in_MiB");
  assert.equal(values({ model }).resources.memory, "2176Mi");
  assert.equal(values({ epc: "4Gi" }).sgx.epcAmount, String(2 ** 32));
});

test("the cluster's enclave memory caps the replicas", () => {
  assert.equal(values({ epc: "1Gi", clusterEpc: "6Gi", replicas: { maximum: 10 } }).replicas.maximum, 6);
  assert.equal(values({ epc: "1Gi", clusterEpc: "60Gi", replicas: { maximum: 10 } }).replicas.maximum, 10);
  assertRefused({ epc: "4Gi", clusterEpc: "6Gi", replicas: { minimum: 2, maximum: 3 } }, /holds 1 replicas/);
});

test("settings that contradict each other are refused", () => {
  assertRefused({ replicas: { minimum: 3, maximum: 2 } }, /above/);
  assertRefused({ broker: { kind: "host-alias" } }, /broker\.ip/);
  assertRefused({ broker: { kind: "in-cluster" } }, /broker\.image/);
  const inside = { kind: "in-cluster", image: "broker@sha256", store: "postgresql" };
  assertRefused({ broker: inside }, /storeUrl/);
  assertRefused(
    { broker: { ...inside, storeUrl: "postgresql://u:password@db/cloister" } },
    /storeUrl: a database without a password/,
  );
  assertRefused({ autoscaling: { kind: "keda" } }, /prometheus/);
  assertRefused({ modelDelivery: { kind: "host-path" } }, /modelDelivery\.path/);
  assertRefused({ modelDelivery: { kind: "azure-files", share: "models" } }, /modelDelivery\.secret/);
});

test("what could break out of a quoted text, and what nobody knows, is refused", () => {
  assertRefused({ image: 'x"@sha256' }, /image/);
  assertRefused({ namespace: "UPPER" }, /namespace/);
  assertRefused({ modelDelivery: { kind: "object-store", url: "https://x.example/{{ .Values.image }}" } }, /url/);
  assertRefused({ privileged: true }, /privileged/);
});

test("a host path needs a namespace that allows it, everything else is restricted", () => {
  assert.equal(values({ modelDelivery: { kind: "host-path", path: "/srv/models" } }).podSecurity, "privileged");
  assert.equal(values({}).podSecurity, "restricted");
});

test("no object holds a secret of the broker's: they are named, and files come from a Secret's volume", () => {
  const broker = { kind: "in-cluster", image: "broker@sha256", secret: "the-passphrase" } as const;
  const objects = renderObjects(values({ broker })).map(({ object }) => object);
  assert.ok(objects.every(({ kind }) => kind !== "Secret"));
  const configMaps = objects.filter(({ kind }) => kind === "ConfigMap");
  assert.ok(configMaps.length > 0 && !/passphrase|PRIVATE KEY/.test(JSON.stringify(configMaps)));
  assert.match(JSON.stringify(objects.find(({ kind }) => kind === "StatefulSet")), /"secretName":"the-passphrase"/);
  assert.equal(values({ broker }).broker.lookup, "cloister-broker");
});

test("every preset gives values", () => {
  for (const preset of PRESETS) assert.equal(values({}, preset).preset, preset);
});
