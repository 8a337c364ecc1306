import "./no-telemetry.ts";
import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { borderName, type HostValue, isShortFloat, type OnnxStep } from "@cloister/saved-model";
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { asTensorData, holds, ortType } from "./dtypes.ts";
import { engineError } from "../failure.ts";

export interface SessionOptions {
  /** Threads inside one operator; 0 lets ONNX Runtime take one per core. */
  readonly threads: number;
  /** Busy waiting between operators: a few per cent faster alone on a machine, far slower on a shared one. */
  readonly allowSpinning: boolean;
}

/** A compiled island of a program. Its inputs and outputs go by the names of the program's values. */
export class OnnxSession {
  readonly #session: InferenceSession;
  readonly #step: Omit<OnnxStep, "onnx">;

  private constructor(session: InferenceSession, step: Omit<OnnxStep, "onnx">) {
    this.#session = session;
    this.#step = step;
  }

  /**
   * Compiles the island. Its bytes are not kept.
   *
   * @param graph `isOptimized`: it went through this before, on this machine; `saveTo`: the path for the optimised graph
   * @throws EngineError LOAD_FAILED
   */
  static async create(
    { onnx, ...step }: OnnxStep,
    options: SessionOptions,
    graph: { readonly isOptimized?: boolean; readonly saveTo?: string } = {},
  ): Promise<OnnxSession> {
    const spinning = options.allowSpinning ? "1" : "0";
    try {
      const session = await InferenceSession.create(onnx, {
        executionMode: "sequential",
        graphOptimizationLevel: graph.isOptimized === true ? "disabled" : "all",
        ...(graph.saveTo !== undefined && { optimizedModelFilePath: graph.saveTo }),
        interOpNumThreads: 1,
        intraOpNumThreads: options.threads,
        // Refusals reach the caller as errors; ONNX Runtime would write them to standard error as well.
        logSeverityLevel: 4,
        extra: {
          session: { intra_op: { allow_spinning: spinning }, inter_op: { allow_spinning: spinning } },
          // It folds zeros around an image into a max pooling, which leaves its own padding out: negative maxima come out where
          // TensorFlow has 0. Lowering folds zeros into convolutions itself, where they count as zeros.
          optimization: { disable_specified_optimizers: "Pad_Fusion" },
        },
      });
      return new OnnxSession(session, step);
    } catch (cause) {
      throw engineError(
        "LOAD_FAILED",
        "the lowered graph cannot be compiled",
        "ONNX Runtime refused it",
        "report this model's structure",
        cause,
      );
    }
  }

  /**
   * Computes the outputs. Blocks the thread while the native call runs.
   *
   * @throws EngineError INPUT_INVALID
   */
  async run(values: ReadonlyMap<string, HostValue>): Promise<Map<string, Tensor>> {
    const feeds: Record<string, OrtTensor> = {};
    for (const name of this.#step.inputs) {
      const tensor = values.get(name);
      if (tensor && "data" in tensor) feeds[borderName(name, tensor.dtype)] = toOrt(name, tensor);
    }
    const { outputs } = this.#step;
    const results = await this.#run(
      feeds,
      outputs.map(({ name, dtype }) => borderName(name, dtype)),
    );
    return new Map(outputs.map(({ name, dtype }) => [name, fromOrt(results[borderName(name, dtype)], dtype)]));
  }

  async #run(feeds: Record<string, OrtTensor>, fetches: readonly string[]): Promise<InferenceSession.OnnxValueMapType> {
    try {
      return await this.#session.run(feeds, fetches, { logSeverityLevel: 4 });
    } catch (cause) {
      throw engineError(
        "INPUT_INVALID",
        "the request cannot be computed",
        "the graph refuses the shapes of its inputs",
        "compare them with the model's signature",
        cause,
      );
    }
  }

  async release(): Promise<void> {
    await this.#session.release();
  }
}

function toOrt(alias: string, { dtype, shape, data }: Tensor): OrtTensor {
  const type = isShortFloat(dtype) ? "float32" : ortType(dtype);
  if (!type || !holds(dtype, data) || data.length !== elementCount(shape)) {
    throw engineError(
      "INPUT_INVALID",
      `the input ${alias} cannot be used`,
      type ? "its data do not fit its dtype and shape" : `tensors of ${dtype} are not supported`,
      "send a tensor as the signature describes it",
    );
  }
  if (isShortFloat(dtype)) return new OrtTensor("float32", widened(dtype, data as Uint16Array), shape);
  return new OrtTensor(type, data as never, shape);
}

function fromOrt(value: OrtTensor | undefined, dtype: Tensor["dtype"]): Tensor {
  if (!value || dtype === "string") throw new Error("ONNX Runtime left an output out");
  const data = value.data as unknown as ArrayBufferView;
  return {
    dtype,
    shape: [...value.dims],
    data: isShortFloat(dtype) ? narrowed(dtype, data as Float32Array) : asTensorData(dtype, data),
  };
}

/** The floats with the same values; a bfloat16 is the upper half of its float. */
function widened(dtype: "half" | "bfloat16", halves: Uint16Array): Float32Array {
  if (dtype === "half")
    return Float32Array.from(new Float16Array(halves.buffer as ArrayBuffer, halves.byteOffset, halves.length));
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

/** The floats hold values of the shorter type: nothing is rounded. */
function narrowed(dtype: "half" | "bfloat16", floats: Float32Array): Uint16Array {
  if (dtype === "half") return new Uint16Array(Float16Array.from(floats).buffer);
  return Uint16Array.from(new Uint32Array(floats.buffer, floats.byteOffset, floats.length), (bits) => bits >>> 16);
}
