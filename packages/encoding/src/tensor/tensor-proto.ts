/** TensorProto, PredictRequest and PredictResponse on raw bytes, for the hot path. Other messages use the generated code. */
export {
  fromModelSpec,
  type ModelReference,
  type PredictRequestParts,
  type PredictResponseParts,
  type RawPredictRequest,
  type RawPredictResponse,
  readPredictRequest,
  readPredictResponse,
  toModelSpec,
  writePredictRequest,
  writePredictResponse,
} from "./predict-messages.ts";
export { layoutOf, layoutOfCode } from "./proto-dtypes.ts";
export { readTensorProto, type TensorLimits } from "./proto-reader.ts";
export { type SizedTensor, sizeTensor, type TensorEncoding, writeTensorProto } from "./proto-writer.ts";
