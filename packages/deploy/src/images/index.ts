export { buildImage, renderImageSources, stageImage } from "./build.ts";
export { IMAGE_ROLES, type ImageRole } from "./roles.ts";
