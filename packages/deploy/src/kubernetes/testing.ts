import type { KubernetesInput } from "./settings.ts";

/** Settings with what has no default; for tests. */
export function testSettings(more: Partial<KubernetesInput> = {}): KubernetesInput {
  return {
    image: `registry.example/cloister@sha256:${"ab".repeat(32)}`,
    measurement: "cd".repeat(32),
    model: { name: "digits", version: 1 },
    broker: { host: "attestation.service.com", port: 4433 },
    ...more,
  };
}

/** Stands for a manifest. Its quotes and backslashes have to survive every form. */
export const TEST_MANIFEST = String.raw`{"format":"cloister-enclave/1","text":"quotes \" and {{ braces }}"}`;

const BROKER_IMAGE = `registry.example/cloister-broker@sha256:${"ef".repeat(32)}`;

/** Together they hold every object and every form of a conditional part. */
export const CASES: Readonly<Record<string, Partial<KubernetesInput>>> = {
  simulation: { broker: { kind: "host-alias", ip: "192.0.2.7" }, createNamespace: false },
  "sgx-intel": { preset: "sgx-intel", broker: { kind: "endpoint", ip: "2001:db8::7" } },
  "sgx-aks": {
    preset: "sgx-aks",
    modelDelivery: { kind: "azure-files", share: "models", secret: "share-key" },
    gateway: { kind: "envoy" },
    autoscaling: { kind: "cpu" },
    broker: {
      kind: "in-cluster",
      image: BROKER_IMAGE,
      store: "postgresql",
      replicas: 3,
      storeUrl: "postgresql://cloister@db.example:6432/cloister",
    },
  },
  alibaba: {
    preset: "alibaba",
    modelDelivery: { kind: "object-store", url: "https://models.example/digits-1.tar" },
    broker: { kind: "external-name" },
    autoscaling: { kind: "keda", prometheus: "http://prometheus.monitoring:9090" },
    gateway: { kind: "ingress" },
  },
  tencent: {
    preset: "tencent",
    modelDelivery: { kind: "host-path", path: "/srv/models" },
    broker: {
      kind: "in-cluster",
      image: BROKER_IMAGE,
      storageClass: "fast",
      pccs: "https://pccs.example:8081/sgx/certification/v4/",
      clientCa: true,
    },
    autoscaling: { kind: "none" },
    gateway: { kind: "none" },
    networkPolicy: false,
    admissionPolicy: false,
  },
};
