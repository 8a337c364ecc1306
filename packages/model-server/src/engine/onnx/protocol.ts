import type { Tensor } from "@cloister/encoding/tensor";
import type { ModelFiles } from "@cloister/saved-model";
import type { SignatureInfo } from "../engine.ts";
import type { Failure } from "./failure.ts";
import type { SessionOptions } from "./session.ts";

/** What the worker thread starts with. */
export interface WorkerStart {
  readonly files: ModelFiles;
  readonly options: SessionOptions;
}

/** To the worker. */
export type WorkerRequest =
  | {
      readonly kind: "run";
      readonly id: number;
      readonly signature: string;
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
    }
  | { readonly kind: "load-failed"; readonly failure: Failure }
  | { readonly kind: "done"; readonly id: number; readonly outputs: Map<string, Tensor> }
  | { readonly kind: "failed"; readonly id: number; readonly failure: Failure }
  | { readonly kind: "closed" };

/**
 * The tensors in a form to post, and the buffers to transfer with them. An array that does not own the whole of its buffer is
 * copied: transferring would take the rest away from its other users.
 */
export function transferable(tensors: ReadonlyMap<string, Tensor>): {
  tensors: Map<string, Tensor>;
  buffers: ArrayBuffer[];
} {
  const buffers = new Set<ArrayBuffer>();
  const own = new Map<string, Tensor>();
  for (const [alias, tensor] of tensors) {
    if (tensor.dtype === "string") {
      own.set(alias, tensor);
      continue;
    }
    const data = tensor.data as Uint8Array;
    const isWhole =
      data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength && !buffers.has(data.buffer);
    const moved = isWhole ? data : data.slice();
    buffers.add(moved.buffer as ArrayBuffer);
    own.set(alias, { dtype: tensor.dtype, shape: tensor.shape, data: moved });
  }
  return { tensors: own, buffers: [...buffers] };
}
