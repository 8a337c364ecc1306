export { crc32c, maskedCrc32c } from "./bundle/crc32c.ts";
export { type OpHome, supportedOps } from "./coverage.ts";
export { TensorBundle } from "./bundle/tensor-bundle.ts";
export { SavedModelError, type SavedModelErrorCode } from "./error.ts";
export type { MissingOp } from "./lower/missing-op.ts";
export type { ModelFiles } from "./model-files.ts";
export { describeMissing, initializationProgram, type ShapeTrust, SignatureProgram } from "./program.ts";
export {
  borderName,
  type ControlStep,
  type HostStep,
  isShortFloat,
  type OnnxStep,
  operandName,
  type Program,
  type Step,
} from "./program-steps.ts";
export type { HostValue } from "./host/call.ts";
export type { HostList } from "./host/list.ts";
export { HostRefusal } from "./host/refusal.ts";
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
export { importTfjsGraph, tfjsWeightPaths } from "./import/import-tfjs.ts";
export { type InspectedSignature, inspectModel, type Inspection } from "./inspect.ts";
export { fillUniform } from "./generate/random.ts";
