import type { NumericArray, Tensor } from "@cloister/encoding/tensor";
import type { ModelFiles } from "@cloister/saved-model";
import { copyTensor } from "../copy-tensor.ts";
import type { RunRequest, SignatureInfo } from "../engine.ts";
import type { Failure } from "../failure.ts";
import type { MemoryPool } from "../../memory-pool.ts";
import type { PreparedModel } from "./prepared-model.ts";
import type { LoadOptions } from "./local-servable.ts";

/** What the worker thread starts with. */
export interface WorkerStart {
  /** The thread will have to lower its model, and may as well make ready for that. */
  readonly lowers: boolean;
}

/** To the worker. `load` or `restore` comes first, and once; `files` answers `wants-files`. */
export type WorkerRequest =
  | {
      readonly kind: "load";
      readonly files: ModelFiles;
      readonly options: LoadOptions;
      /** Whether the answer is to hold what loading has made. */
      readonly keeps: boolean;
    }
  | { readonly kind: "restore"; readonly prepared: PreparedModel; readonly options: LoadOptions }
  | { readonly kind: "files"; readonly files: ModelFiles }
  | {
      readonly kind: "run";
      readonly id: number;
      readonly signature: RunRequest["signature"];
      readonly inputs: ReadonlyMap<string, Tensor>;
      readonly outputs: readonly string[];
    }
  | { readonly kind: "close" };

/** From the worker. */
export type WorkerReply =
  | {
      readonly kind: "loaded";
      readonly signatures: ReadonlyMap<string, SignatureInfo>;
      readonly unsupported: ReadonlyMap<string, string>;
      readonly initOp: string | undefined;
      /** Requests change variables or tables of the model. */
      readonly isStateful: boolean;
      /** Its memory file belongs to the receiver. */
      readonly prepared?: PreparedModel;
    }
  | { readonly kind: "load-failed"; readonly failure: Failure }
  /** A restored model is asked for a program that it was not prepared for. */
  | { readonly kind: "wants-files" }
  | {
      readonly kind: "done";
      readonly id: number;
      readonly outputs: Map<string, Tensor>;
      /** What the request's tensors lay in, given back. */
      readonly spent: readonly ArrayBuffer[];
    }
  | { readonly kind: "failed"; readonly id: number; readonly failure: Failure }
  | { readonly kind: "closed" };

/** Copies of a model's files that can be moved to a thread: cloning them there takes ten times as long for a large model. */
export function copyFiles(files: ModelFiles): { readonly copies: ModelFiles; readonly buffers: ArrayBuffer[] } {
  const copies = new Map([...files].map(([path, bytes]) => [path, new Uint8Array(bytes)]));
  return { copies, buffers: [...copies.values()].map(({ buffer }) => buffer) };
}

/** The buffers behind tensors that nobody else uses, to be moved to the other thread instead of copied. */
export function ownBuffers(tensors: ReadonlyMap<string, Tensor>): ArrayBuffer[] {
  const buffers = [...tensors.values()].flatMap(({ data }) => ("buffer" in data ? [data.buffer as ArrayBuffer] : []));
  return [...new Set(buffers)];
}

/**
 * Copies of a request's tensors, to be moved. The caller keeps its arrays, which are often views of a larger message: copying
 * half a megabyte takes a twentieth of a millisecond.
 */
export function copyTensors(tensors: ReadonlyMap<string, Tensor>, memory: MemoryPool): Map<string, Tensor> {
  return new Map([...tensors].map(([alias, tensor]) => [alias, copyInto(tensor, memory)]));
}

function copyInto(tensor: Tensor, memory: MemoryPool): Tensor {
  const { dtype, shape, data } = tensor;
  if (!("buffer" in data)) return copyTensor(tensor);
  const Copy = data.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => NumericArray;
  const copy = new Copy(memory.take(data.byteLength), 0, data.length);
  copy.set(data as never);
  return { dtype, shape, data: copy };
}
