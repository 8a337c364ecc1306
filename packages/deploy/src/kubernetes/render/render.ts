import { type DeploymentPart, renderObjects } from "../objects.ts";
import { type KubernetesSettings, valuesOf } from "../settings.ts";
import { helmFiles } from "./helm.ts";
import { kustomizeFiles } from "./kustomize.ts";
import { objectYaml } from "./yaml.ts";

export const FORMATS = ["yaml", "helm", "kustomize"] as const;
export type RenderFormat = (typeof FORMATS)[number];

/**
 * The files of a deployment in one of three forms, by relative path; the same settings give the same bytes. Plain YAML has numbered
 * files, so that applying a folder applies them in order; it can hold a part only. Throws `KUBERNETES_SETTINGS_INVALID`.
 */
export function renderFiles(
  format: RenderFormat,
  settings: KubernetesSettings,
  enclaveManifest: string,
  part: DeploymentPart = "all",
): Map<string, string> {
  if (format === "helm") return helmFiles(settings, enclaveManifest);
  if (format === "kustomize") return kustomizeFiles(settings, enclaveManifest);
  const objects = renderObjects(valuesOf(settings, enclaveManifest), part);
  return new Map(
    objects.map(({ file, object }, index) => [`${String(index).padStart(2, "0")}-${file}.yaml`, objectYaml(object)]),
  );
}
