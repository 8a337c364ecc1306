export { buildGramineImage, buildImage, renderImageSources, stageGramineImage, stageImage } from "./build.ts";
export type { GramineRole } from "./gramine.ts";
export type { ImageRole } from "./roles.ts";
