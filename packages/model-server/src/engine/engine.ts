import type { DType, Tensor } from "@cloister/encoding/tensor";
import type { ModelFiles } from "@cloister/saved-model";
import type { SignatureKey } from "./joint-signature.ts";

/** What a signature says about one of its tensors. It is advice: TensorFlow Serving does not check requests against it. */
export interface TensorInfo {
  /** The tensor's name in the graph, for example `serving_default_x:0`. */
  readonly name: string;
  readonly dtype: DType;
  /** -1 for an unknown dimension, `undefined` for unknown rank. */
  readonly shape: readonly number[] | undefined;
}

/** One entry of a SavedModel's signature map; keys are the aliases that requests use. */
export interface SignatureInfo {
  readonly methodName: string;
  readonly inputs: ReadonlyMap<string, TensorInfo>;
  readonly outputs: ReadonlyMap<string, TensorInfo>;
  /** Values of inputs that a request leaves out. */
  readonly defaults?: ReadonlyMap<string, Tensor>;
}

export interface RunRequest {
  /** A key of `signatures`. Of several, with the same input tensors, outputs go by their `jointAlias`. */
  readonly signature: SignatureKey;
  /** A tensor for every input alias of the signature. The data are read while the request runs; they must not change before. */
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** Output aliases to compute; only what they need is run. */
  readonly outputs: readonly string[];
  /** Takes a waiting request out of the queue. A native call that has begun runs to its end, and its answer is dropped. */
  readonly signal?: AbortSignal;
}

/** A loaded model version. */
export interface Servable {
  readonly signatures: ReadonlyMap<string, SignatureInfo>;
  /** The node that a TensorFlow 2 model names as its initialisation. Metadata tell it; no request can run it. */
  readonly initOp?: string | undefined;
  /** Signatures that cannot run here, with the reason (the missing ops and nodes). Running one fails with UNSUPPORTED_OPS. */
  readonly unsupported: ReadonlyMap<string, string>;
  /** Runs one request. Throws `EngineError`. */
  run(request: RunRequest): Promise<Map<string, Tensor>>;
  /** Waits for the running request, refuses the waiting ones, frees native memory. */
  close(): Promise<void>;
}

/**
 * Turns model files into something that answers. `load` throws `SavedModelError` or `EngineError`. The files must not change as long as
 * the model is loaded.
 */
export interface Engine {
  readonly name: string;
  /**
   * Makes ready for a load that is to come, while its files are still being fetched or opened: a thread starts and takes in the code
   * that lowers models. Nothing needs it, and it never fails.
   */
  prepare?(): void;
  load(files: ModelFiles): Promise<Servable>;
}
