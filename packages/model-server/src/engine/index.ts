export { AutoEngine, type AutoEngineOptions, type EngineFallback } from "./auto-engine.ts";
export { chooseEngine, ENGINE_NAMES, type EngineName, type EngineOptions } from "./choose-engine.ts";
export type { Engine, RunRequest, Servable, SignatureInfo, TensorInfo } from "./engine.ts";
export { EngineError, type EngineErrorCode } from "./error.ts";
export { OnnxEngine, type OnnxEngineOptions } from "./onnx-engine.ts";
export { findLibrary } from "./tensorflow/find-library.ts";
export { installTensorFlow, type InstallOptions, type Installed } from "./tensorflow/install.ts";
export { TensorFlowEngine, type TensorFlowEngineOptions } from "./tensorflow-engine.ts";
