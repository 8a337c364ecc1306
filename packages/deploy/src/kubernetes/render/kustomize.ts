import { renderObjects, type RenderedObject } from "../objects.ts";
import type { KubernetesSettings } from "../settings.ts";
import { valuesOf } from "../settings.ts";
import { GATEWAYS, PRESETS, type Values } from "../values.ts";
import { jsonPatch, type PatchStep } from "./json-patch.ts";
import { objectYaml } from "./yaml.ts";

const BASE_PRESET = "sgx-intel";
/** Names of the components that add a way in. */
const COMPONENTS = { nginx: "gateway-nginx", envoy: "gateway-envoy", ingress: "ingress-legacy" } as const;
type AnyGateway = keyof typeof COMPONENTS;

/**
 * A Kustomize tree: a base (Intel's plugin, no way in), an overlay for each preset and a component for each gateway. Each
 * overlay names the component of the settings' gateway. Patches are what the objects themselves differ in.
 */
export function kustomizeFiles(settings: KubernetesSettings, enclaveManifest: string): Map<string, string> {
  const files = new Map<string, string>();
  const valuesFor = (preset: Values["preset"], gateway: Values["gateway"]["kind"]): Values => {
    const values = valuesOf({ ...settings, gateway: { ...settings.gateway, kind: gateway } }, enclaveManifest, preset);
    return values;
  };
  const base = renderObjects(valuesFor(BASE_PRESET, "none"));
  writeObjects(files, "base", base);
  files.set("base/kustomization.yaml", kustomization({ resources: base.map(({ file }) => `${file}.yaml`) }));
  for (const gateway of GATEWAYS) {
    if (gateway === "none") continue;
    const added = renderObjects(valuesFor(BASE_PRESET, gateway)).filter(
      ({ file }) => !base.some((it) => it.file === file),
    );
    const folder = `components/${COMPONENTS[gateway]}`;
    writeObjects(files, folder, added);
    files.set(
      `${folder}/kustomization.yaml`,
      objectYaml({
        apiVersion: "kustomize.config.k8s.io/v1alpha1",
        kind: "Component",
        resources: added.map(({ file }) => `${file}.yaml`),
      }),
    );
  }
  for (const preset of PRESETS) {
    writeOverlay(files, preset, base, renderObjects(valuesFor(preset, "none")), settings.gateway.kind);
  }
  return files;
}

function writeOverlay(
  files: Map<string, string>,
  preset: string,
  base: readonly RenderedObject[],
  wanted: readonly RenderedObject[],
  gateway: Values["gateway"]["kind"],
): void {
  const folder = `overlays/${preset}`;
  const added = wanted.filter(({ file }) => !base.some((it) => it.file === file));
  writeObjects(files, folder, added);
  const patches = base.flatMap(({ file, object }) => {
    const target = wanted.find((it) => it.file === file);
    const steps = target === undefined ? undefined : jsonPatch(object, target.object);
    return steps?.length === 0 ? [] : [patchOf(object, steps)];
  });
  files.set(
    `${folder}/kustomization.yaml`,
    kustomization({
      resources: ["../../base", ...added.map(({ file }) => `${file}.yaml`)],
      ...(patches.length > 0 && { patches }),
      ...(gateway !== "none" && { components: [`../../components/${COMPONENTS[gateway satisfies AnyGateway]}`] }),
    }),
  );
}

/** A patch of one object; without steps it takes the object out. */
function patchOf({ apiVersion, kind, metadata }: RenderedObject["object"], steps: PatchStep[] | undefined): object {
  const { name, namespace } = metadata;
  if (steps === undefined)
    return { patch: objectYaml({ $patch: "delete", apiVersion, kind, metadata: { name, namespace } }) };
  const [version = "", group] = apiVersion.split("/").toReversed();
  const target = {
    ...(group !== undefined && { group }),
    version,
    kind,
    name,
    ...(namespace !== undefined && { namespace }),
  };
  return { target, patch: `${JSON.stringify(steps, null, 2)}\n` };
}

function writeObjects(files: Map<string, string>, folder: string, objects: readonly RenderedObject[]): void {
  for (const { file, object } of objects) files.set(`${folder}/${file}.yaml`, objectYaml(object));
}

function kustomization(content: object): string {
  return objectYaml({ apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization", ...content });
}
