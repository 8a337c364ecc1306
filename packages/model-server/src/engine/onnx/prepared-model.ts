import { createHash } from "node:crypto";
import type { ModelFiles, Signature } from "@cloister/saved-model";
import type { OnnxProgram } from "./compiled-program.ts";

/**
 * What a load has made of a model: its first program with its islands as ONNX Runtime has optimised them for this processor. With it the
 * same model loads without being lowered or optimised again. It is as secret as the model, and stays in memory.
 */
export interface PreparedModel {
  readonly signatures: ReadonlyMap<string, Signature>;
  readonly unsupported: ReadonlyMap<string, string>;
  /** Identifies the program among those of the model, see `programId`. */
  readonly id: string;
  readonly program: OnnxProgram;
}

/** What tells a program of a model from its others. */
export function programId(key: string, trust: string, outputs: readonly string[]): string {
  return JSON.stringify([key, trust, [...new Set(outputs)].toSorted()]);
}

function bytesOf({ program }: PreparedModel): number {
  return program.steps.reduce((sum, { onnx }) => sum + onnx.length, 0);
}

/** A copy whose graphs can be moved to another thread. */
export function copyPrepared(prepared: PreparedModel): PreparedModel {
  const steps = prepared.program.steps.map((step) => ({ ...step, onnx: new Uint8Array(step.onnx) }));
  return { ...prepared, program: { ...prepared.program, steps } };
}

/** SHA-256 over the paths and contents of a model's files. */
export function digestOf(files: ModelFiles): string {
  const hash = createHash("sha256");
  for (const [path, bytes] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(JSON.stringify([path, bytes.length])).update(bytes);
  }
  return hash.digest("hex");
}

/** Prepared models in memory, by digest, up to a number of bytes: the one that was used longest ago goes first. */
export class PreparedModels {
  readonly #maxBytes: number;
  readonly #models = new Map<string, PreparedModel>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get isUsed(): boolean {
    return this.#maxBytes > 0;
  }

  get(digest: string): PreparedModel | undefined {
    const model = this.#models.get(digest);
    if (!model) return undefined;
    this.#models.delete(digest);
    this.#models.set(digest, model);
    return model;
  }

  add(digest: string, model: PreparedModel): void {
    if (bytesOf(model) > this.#maxBytes || this.#models.has(digest)) return;
    this.#models.set(digest, model);
    this.#bytes += bytesOf(model);
    for (const [oldest, each] of this.#models) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#models.delete(oldest);
      this.#bytes -= bytesOf(each);
    }
  }
}
