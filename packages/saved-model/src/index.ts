export { crc32c, maskedCrc32c } from "./bundle/crc32c.ts";
export { type OpHome, supportedOps } from "./coverage.ts";
export { TensorBundle } from "./bundle/tensor-bundle.ts";
export { SavedModelError, type SavedModelErrorCode } from "./error.ts";
export type { MissingOp } from "./lower/lower.ts";
export type { ModelFiles } from "./model-files.ts";
export { describeMissing, initializationProgram, type Program, type ShapeTrust, SignatureProgram } from "./program.ts";
export type { HostStep, OnnxStep, Step } from "./partition.ts";
export { HostRefusal } from "./host/call.ts";
export { ModelState } from "./host/state.ts";
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
export { type InspectedSignature, inspectModel, type Inspection } from "./inspect.ts";
export { fillUniform } from "./generate/random.ts";
