export { buildImage, renderImageSources, stageImage } from "./build.ts";
export type { ImageRole } from "./roles.ts";
