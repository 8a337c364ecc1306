// `@cloister/deploy/kubernetes`: replicas on Kubernetes. Nothing here loads the client of a cluster; see `@cloister/deploy/cluster`.
export { type ApiObject } from "./api-object.ts";
export { type DeploymentPart, renderObjects, type RenderedObject } from "./objects.ts";
export { FORMATS, renderFiles, type RenderFormat } from "./render/render.ts";
export { streamYaml } from "./render/yaml.ts";
export { type KubernetesInput, KubernetesSettings, readSettings, valuesOf } from "./settings.ts";
export { PRESETS, type PresetName } from "./values.ts";
