import "./no-telemetry.ts";
import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { borderName, type HostValue, isShortFloat, type OnnxStep } from "@cloister/saved-model/run";
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import { asTensorData, holds, ortType } from "./dtypes.ts";
import { engineError } from "../failure.ts";

export interface SessionOptions {
  /** Threads inside one operator; 0 lets ONNX Runtime take one per core. */
  readonly threads: number;
  /** Busy waiting between operators: a few per cent faster alone on a machine, far slower on a shared one. */
  readonly allowSpinning: boolean;
}

type StepInfo = Pick<OnnxStep, "inputs" | "outputs">;

function sessionOptions(
  { threads, allowSpinning }: SessionOptions,
  entries: Readonly<Record<string, string>>,
): InferenceSession.SessionOptions {
  const spinning = { allow_spinning: allowSpinning ? "1" : "0" };
  return {
    executionMode: "sequential",
    interOpNumThreads: 1,
    intraOpNumThreads: threads,
    // It would hold a block of memory for each shape that was asked for. It makes nothing faster beside the arena.
    enableMemPattern: false,
    // Refusals reach the caller as errors; ONNX Runtime would write them to standard error as well.
    logSeverityLevel: 4,
    extra: {
      session: { intra_op: spinning, inter_op: spinning, ...entries },
      // It folds zeros around an image into a max pooling, which leaves its own padding out: negative maxima come out where
      // TensorFlow has 0. Lowering folds zeros into convolutions itself, where they count as zeros.
      optimization: { disable_specified_optimizers: "Pad_Fusion" },
    },
  };
}

/** A compiled island of a program. Its inputs and outputs go by the names of the program's values. */
export class OnnxSession {
  readonly #session: InferenceSession;
  readonly #step: StepInfo;

  private constructor(session: InferenceSession, step: StepInfo) {
    this.#session = session;
    this.#step = step;
  }

  /** Names of the values that it makes. */
  get outputs(): readonly string[] {
    return this.#step.outputs.map(({ name }) => name);
  }

  /**
   * Compiles the island. ONNX Runtime makes its own copy of the weights; nothing of the step is kept.
   *
   * @param saveTo the path for the optimised graph, for `restore`
   * @throws EngineError LOAD_FAILED
   */
  static create({ graph, weights, ...step }: OnnxStep, options: SessionOptions, saveTo?: string): Promise<OnnxSession> {
    return OnnxSession.#open(graph, step, {
      ...sessionOptions(options, saveTo === undefined ? {} : { save_model_format: "ORT" }),
      graphOptimizationLevel: "all",
      externalData: [...weights].map(([path, data]) => ({ path, data })),
      ...(saveTo !== undefined && { optimizedModelFilePath: saveTo }),
    });
  }

  /**
   * Opens an optimised graph that `create` has saved in this process. It is mapped: all sessions of the graph share its weights.
   *
   * @throws EngineError LOAD_FAILED
   */
  static restore(path: string, step: StepInfo, options: SessionOptions): Promise<OnnxSession> {
    const mapped = {
      load_model_format: "ORT",
      use_memory_mapped_ort_model: "1",
      use_ort_model_bytes_directly: "1",
      use_ort_model_bytes_for_initializers: "1",
    };
    return OnnxSession.#open(path, step, { ...sessionOptions(options, mapped), graphOptimizationLevel: "disabled" });
  }

  static async #open(
    model: Uint8Array | string,
    { inputs, outputs }: StepInfo,
    options: InferenceSession.SessionOptions,
  ): Promise<OnnxSession> {
    try {
      const session = await (typeof model === "string"
        ? InferenceSession.create(model, options)
        : InferenceSession.create(model, options));
      return new OnnxSession(session, { inputs, outputs });
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
      const isByZero = cause instanceof Error && /Integer (?:division|modulo) by zero/.test(cause.message);
      throw engineError(
        "INPUT_INVALID",
        "the request cannot be computed",
        // TensorFlow's own words.
        isByZero ? "Integer division by zero" : "the graph refuses the shapes of its inputs",
        isByZero ? "send no zero where the model divides by it" : "compare them with the model's signature",
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
