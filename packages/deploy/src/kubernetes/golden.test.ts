import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { renderFiles } from "./render/render.ts";
import { type KubernetesInput, readSettings } from "./settings.ts";
import { TEST_MANIFEST, testSettings } from "./testing.ts";

const FOLDER = join(import.meta.dirname, "golden");

/** Together they hold every object and every form of a conditional part. */
const CASES: Readonly<Record<string, Partial<KubernetesInput>>> = {
  simulation: { broker: { kind: "host-alias", ip: "192.0.2.7" }, createNamespace: false },
  "sgx-intel": { preset: "sgx-intel", broker: { kind: "endpoint", ip: "2001:db8::7" } },
  "sgx-aks": {
    preset: "sgx-aks",
    modelDelivery: { kind: "azure-files", share: "models", secret: "share-key" },
    gateway: { kind: "envoy" },
    autoscaling: { kind: "cpu" },
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
    autoscaling: { kind: "none" },
    gateway: { kind: "none" },
    networkPolicy: false,
    admissionPolicy: false,
  },
};

for (const [name, settings] of Object.entries(CASES)) {
  // UPDATE_GOLDEN=1 writes them anew; the change is then read in review.
  test(`the objects of ${name} are those of the golden file`, async () => {
    const files = renderFiles("yaml", readSettings(testSettings(settings)), TEST_MANIFEST);
    const text = [...files].map(([file, content]) => `---\n# ${file}\n${content}`).join("");
    const path = join(FOLDER, `${name}.yaml`);
    if (process.env["UPDATE_GOLDEN"] === "1") await writeFile(path, text);
    assert.equal(text, await readFile(path, "utf8"));
  });
}
