import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Ajv } from "ajv";
import { renderObjects } from "./objects.ts";
import { readSettings, valuesOf } from "./settings.ts";
import { CASES, TEST_MANIFEST, testSettings } from "./testing.ts";
import { PRESETS } from "./values.ts";

interface Bundle {
  readonly kinds: Readonly<Record<string, string>>;
  readonly definitions: Readonly<Record<string, object>>;
}

const read = (name: string): Bundle =>
  JSON.parse(readFileSync(join(import.meta.dirname, "schemas", name), "utf8")) as Bundle;

/**
 * From the API server of the test rig and from KEDA's module (`e2e/kubernetes/schemas.ts`); fields that they do not name are
 * forbidden.
 */
const [own, keda] = [read("kubernetes.json"), read("keda.json")];
const kinds: Readonly<Record<string, string>> = { ...own.kinds, ...keda.kinds };
const definitions = { ...own.definitions, ...keda.definitions };
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema({ definitions }, "kubernetes");

function problems(object: { apiVersion: string; kind: string }): string[] {
  const key = `${object.apiVersion}/${object.kind}`;
  const name = kinds[key];
  if (name === undefined) return [`there is no schema of ${key}`];
  const validate = ajv.getSchema(`kubernetes#/definitions/${name.replaceAll("/", "~1")}`);
  assert.ok(validate !== undefined);
  void validate(object);
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${key}${instancePath} ${message ?? ""} ${JSON.stringify(params)}`,
  );
}

for (const [name, settings] of Object.entries(CASES)) {
  test(`every object of ${name} follows Kubernetes' own schema, for every preset`, () => {
    for (const preset of PRESETS) {
      const values = valuesOf(readSettings(testSettings(settings)), TEST_MANIFEST, preset);
      for (const { object } of renderObjects(values)) assert.deepEqual(problems(object), []);
    }
  });
}

test("a misspelt field, a wrong type and a missing one are found", () => {
  const deployment = renderObjects(valuesOf(readSettings(testSettings()), TEST_MANIFEST))
    .map(({ object }) => object)
    .find(({ kind }) => kind === "Deployment");
  assert.ok(deployment !== undefined && "spec" in deployment);
  const spec = deployment.spec as object;
  assert.match(problems({ ...deployment, spec: { ...spec, replica: 1 } } as typeof deployment).join(), /replica/);
  assert.match(
    problems({ ...deployment, spec: { ...spec, paused: "no" } } as typeof deployment).join(),
    /paused must be boolean/,
  );
  assert.match(problems({ ...deployment, spec: {} } as typeof deployment).join(), /selector/);
  const scaled = { apiVersion: "keda.sh/v1alpha1", kind: "ScaledObject", metadata: {} };
  const target = { scaleTargetRef: { name: "x" }, triggers: [{ type: "prometheus", metadata: {} }] };
  assert.deepEqual(problems({ ...scaled, spec: target } as typeof scaled), []);
  assert.match(problems({ ...scaled, spec: { ...target, minReplicas: 1 } } as typeof scaled).join(), /minReplicas/);
});
