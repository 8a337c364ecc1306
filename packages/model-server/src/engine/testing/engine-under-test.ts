// For tests that hold for every engine: CLOISTER_ENGINE says which one they run on (onnx where it is not set).

import type { Engine } from "../engine.ts";
import { OnnxEngine } from "../onnx-engine.ts";
import { TensorFlowEngine } from "../tensorflow-engine.ts";

export const ENGINE_UNDER_TEST = process.env["CLOISTER_ENGINE"] ?? "onnx";

/** `execution` matters to the ONNX engine only. */
export function engineUnderTest(execution: "auto" | "inline" | "worker" = "auto"): Engine {
  switch (ENGINE_UNDER_TEST) {
    case "onnx":
      return new OnnxEngine({ execution });
    case "tensorflow":
      return new TensorFlowEngine();
    default:
      throw new Error("CLOISTER_ENGINE is neither onnx nor tensorflow");
  }
}
