export { crc32c, maskedCrc32c } from "./bundle/crc32c.ts";
export { type OpHome, supportedOps } from "./coverage.ts";
export { TensorBundle } from "./bundle/tensor-bundle.ts";
export type { MissingOp } from "./lower/missing-op.ts";
export type { ModelFiles } from "./model-files.ts";
export { describeMissing, initializationProgram, type ShapeTrust, SignatureProgram } from "./program.ts";
export * from "./run.ts";
export type { HostList } from "./host/list.ts";
export {
  isStateful,
  readSavedModel,
  readSignatures,
  requireSignature,
  type SavedModel,
  type Signature,
  type SignatureTensor,
} from "./saved-model.ts";
export { generateResNet50, type ResNet50Options } from "./generate/resnet50.ts";
export { importFrozenGraph, type ImportedModel, type ImportOptions } from "./import/import-frozen-graph.ts";
export { importTfjsGraph, tfjsWeightPaths } from "./import/import-tfjs.ts";
export { type InspectedSignature, inspectModel, type Inspection } from "./inspect.ts";
export { fillUniform } from "./generate/random.ts";
