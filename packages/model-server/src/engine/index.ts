export type { Engine, RunRequest, Servable, SignatureInfo, TensorInfo } from "./engine.ts";
export { EngineError, type EngineErrorCode } from "./error.ts";
export { OnnxEngine, type OnnxEngineOptions } from "./onnx-engine.ts";
