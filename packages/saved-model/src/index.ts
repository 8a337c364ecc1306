export { TensorBundle } from "./bundle/tensor-bundle.ts";
export { SavedModelError, type SavedModelErrorCode } from "./error.ts";
export type { MissingOp } from "./lower/lower.ts";
export type { ModelFiles } from "./model-files.ts";
export { describeMissing, type Program, type ShapeTrust, SignatureProgram } from "./program.ts";
export {
  readSavedModel,
  requireSignature,
  type SavedModel,
  type Signature,
  type SignatureTensor,
} from "./saved-model.ts";
