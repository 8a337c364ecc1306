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
export { layoutOf, layoutOfCode } from "./tensor-proto-dtypes.ts";
export { readTensorProto, type TensorLimits } from "./tensor-proto-reader.ts";
export { type SizedTensor, sizeTensor, type TensorEncoding } from "./tensor-proto-writer.ts";
