import { z } from "zod";
import { ENTRIES } from "../objects.ts";
import { type KubernetesSettings, valuesOf } from "../settings.ts";
import { referenceSource } from "../source.ts";
import { PRESETS, Values } from "../values.ts";
import { helmTemplate } from "./helm-template.ts";
import { objectYaml } from "./yaml.ts";

const CHART_VERSION = "0.1.0";

/**
 * A Helm chart: a template for each object, the settings' values, a file of values for each preset, and the schema that Helm
 * checks values with. Templates look nothing up in a cluster.
 */
export function helmFiles(settings: KubernetesSettings, enclaveManifest: string): Map<string, string> {
  const files = new Map<string, string>();
  files.set("Chart.yaml", objectYaml(chart()));
  files.set("values.yaml", objectYaml(valuesOf(settings, enclaveManifest)));
  for (const preset of PRESETS) {
    const { preset: name, sgx, pccs } = valuesOf(settings, enclaveManifest, preset);
    files.set(`values-${preset}.yaml`, objectYaml({ preset: name, sgx, pccs }));
  }
  files.set("values.schema.json", `${JSON.stringify(valuesSchema(), null, 2)}\n`);
  for (const { file, condition, make } of ENTRIES) {
    files.set(`templates/${file}.yaml`, helmTemplate(make(referenceSource), condition));
  }
  return files;
}

function chart(): object {
  return {
    apiVersion: "v2",
    name: "cloister",
    description: "Confidential TensorFlow Serving: attested replicas behind a gateway that passes TLS through.",
    type: "application",
    version: CHART_VERSION,
    appVersion: CHART_VERSION,
    kubeVersion: ">=1.31.0-0",
  };
}

/** Helm adds `global` to the values of every chart. */
function valuesSchema(): object {
  const schema = z.toJSONSchema(Values.extend({ global: z.unknown().optional() }), {
    target: "draft-7",
    unrepresentable: "any",
  });
  return schema;
}
