import { createHash } from "node:crypto";
import { closeSync } from "node:fs";
import type { ModelFiles, Signature } from "@cloister/saved-model";
import type { SignatureKey } from "../joint-signature.ts";
import type { KeptProgram } from "./compiled-program.ts";

/**
 * What a load has made of a model: its first program, as ONNX Runtime has optimised it for this processor. With it the same model loads
 * without being lowered or optimised again. It is as secret as the model, and stays in memory.
 */
export interface PreparedModel {
  readonly signatures: ReadonlyMap<string, Signature>;
  readonly unsupported: ReadonlyMap<string, string>;
  readonly initOp: string | undefined;
  /** Identifies the program among those of the model, see `programId`. */
  readonly id: string;
  readonly program: KeptProgram;
}

/** What tells a program of a model from its others. */
export function programId(key: SignatureKey, trust: string, outputs: readonly string[]): string {
  return JSON.stringify([key, trust, [...new Set(outputs)].toSorted()]);
}

/** SHA-256 over the paths and contents of a model's files. */
export function digestOf(files: ModelFiles): string {
  const hash = createHash("sha256");
  for (const [path, bytes] of [...files].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(JSON.stringify([path, bytes.length])).update(bytes);
  }
  return hash.digest("hex");
}

/** A prepared model with a count of those who hold it. The last one to release it closes its memory file. */
export class HeldModel {
  readonly model: PreparedModel;
  #holders = 1;

  /** Held by the caller. */
  constructor(model: PreparedModel) {
    this.model = model;
  }

  hold(): this {
    this.#holders += 1;
    return this;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) closeSync(this.model.program.descriptor);
  }
}

/** Prepared models in memory, by digest, up to a number of bytes: the one that was used longest ago goes first. */
export class PreparedModels {
  readonly #maxBytes: number;
  readonly #models = new Map<string, HeldModel>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get isUsed(): boolean {
    return this.#maxBytes > 0;
  }

  get isEmpty(): boolean {
    return this.#models.size === 0;
  }

  /** The model, held for the caller. */
  get(digest: string): HeldModel | undefined {
    const held = this.#models.get(digest);
    if (!held) return undefined;
    this.#models.delete(digest);
    this.#models.set(digest, held);
    return held.hold();
  }

  add(digest: string, held: HeldModel): void {
    const { bytes } = held.model.program;
    if (bytes > this.#maxBytes || this.#models.has(digest)) return;
    this.#models.set(digest, held.hold());
    this.#bytes += bytes;
    for (const [oldest, each] of this.#models) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#models.delete(oldest);
      this.#bytes -= each.model.program.bytes;
      each.release();
    }
  }
}
