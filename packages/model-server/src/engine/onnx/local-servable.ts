import type { Tensor } from "@cloister/encoding/tensor";
import type { ShapeTrust, Signature } from "@cloister/saved-model";
import type { ModelState, Program } from "@cloister/saved-model/run";
import type { RunRequest, Servable, SignatureInfo, TensorInfo } from "../engine.ts";
import { checkRequest, requireSignature, requireSupported } from "../check-request.ts";
import { closed } from "../failure.ts";
import type { SignatureKey } from "../joint-signature.ts";
import { CompiledProgram } from "./compiled-program.ts";
import { type PreparedModel, programId } from "./prepared-model.ts";
import type { SessionOptions } from "./session.ts";

/** Compiled programs that are kept: one for each set of outputs that was asked for, and for shapes off the signature. */
const MAX_SESSIONS = 16;

export interface LoadOptions extends SessionOptions {
  /** Tags of the graph to load, all of them and no others. */
  readonly tags: readonly string[];
}

/** A model that can be lowered, with its state. */
export interface LoweredModel {
  readonly state: ModelState;
  /** @throws SavedModelError UNSUPPORTED_OPS */
  readonly program: (key: SignatureKey, trust: ShapeTrust, outputs: readonly string[]) => Program;
}

/** What a servable starts with. */
export interface ServableStart extends Pick<PreparedModel, "signatures" | "unsupported" | "initOp"> {
  /** Requests change variables or tables of the model. */
  readonly isStateful: boolean;
  /** Gives the model when a program is asked for that is not there yet. */
  readonly model: () => Promise<LoweredModel>;
  readonly options: SessionOptions;
  readonly first: { readonly id: string; readonly program: CompiledProgram };
  /** What loading has made, for `restore`. */
  readonly prepared?: PreparedModel;
}

/** A model in the thread that calls it: `run` blocks that thread. */
export class LocalServable implements Servable {
  readonly signatures: ReadonlyMap<string, Signature>;
  readonly unsupported: ReadonlyMap<string, string>;
  readonly initOp: string | undefined;
  readonly isStateful: boolean;
  readonly #model: () => Promise<LoweredModel>;
  readonly #options: SessionOptions;
  readonly #programs = new Map<string, Promise<CompiledProgram>>();
  #prepared: PreparedModel | undefined;
  #isClosed = false;

  constructor({ signatures, unsupported, initOp, isStateful, model, options, first, prepared }: ServableStart) {
    this.signatures = signatures;
    this.unsupported = unsupported;
    this.initOp = initOp;
    this.isStateful = isStateful;
    this.#model = model;
    this.#options = options;
    this.#programs.set(first.id, Promise.resolve(first.program));
    this.#prepared = prepared;
  }

  /** Takes up what an earlier load has prepared. Only a model without state ever is. @throws EngineError LOAD_FAILED */
  static async restore(
    prepared: PreparedModel,
    options: SessionOptions,
    model: () => Promise<LoweredModel>,
  ): Promise<LocalServable> {
    const { id, signatures, unsupported, initOp } = prepared;
    const first = { id, program: await CompiledProgram.restore(prepared.program, options) };
    return new LocalServable({ signatures, unsupported, initOp, isStateful: false, model, options, first });
  }

  /** What loading has made, for `restore`, once: its memory file is the caller's then. */
  takePrepared(): PreparedModel | undefined {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    return prepared;
  }

  async run({ signature: key, inputs, outputs }: RunRequest): Promise<Map<string, Tensor>> {
    if (this.#isClosed) throw closed();
    const signature = requireSignature(this.signatures, key);
    requireSupported(this.unsupported, key);
    const whole = new Map([...(signature.defaults ?? []), ...inputs]);
    checkRequest(signature, whole, outputs);
    const program = await this.#program(key, trustFor(signature, whole), outputs);
    return program.run(whole);
  }

  async #program(key: SignatureKey, trust: ShapeTrust, outputs: readonly string[]): Promise<CompiledProgram> {
    const id = programId(key, trust, outputs);
    const known = this.#programs.get(id);
    if (known) {
      // The map is in order of last use.
      this.#programs.delete(id);
      this.#programs.set(id, known);
      return known;
    }
    const created = this.#compile(key, trust, outputs);
    this.#programs.set(id, created);
    created.catch(() => this.#programs.delete(id));
    await this.#evict();
    return created;
  }

  async #compile(key: SignatureKey, trust: ShapeTrust, outputs: readonly string[]): Promise<CompiledProgram> {
    const model = await this.#model();
    const program = model.program(key, trust, [...new Set(outputs)].toSorted());
    return CompiledProgram.create(program, model.state, this.#options);
  }

  async #evict(): Promise<void> {
    const [oldest] = this.#programs;
    if (this.#programs.size <= MAX_SESSIONS || !oldest) return;
    this.#programs.delete(oldest[0]);
    await (await oldest[1]).release();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const programs = await Promise.allSettled(this.#programs.values());
    this.#programs.clear();
    for (const program of programs) if (program.status === "fulfilled") await program.value.release();
  }
}

/** Programs are compiled for the declared shapes; a request that differs from them takes one that relies on nothing. */
function trustFor(signature: SignatureInfo, inputs: ReadonlyMap<string, Tensor>): ShapeTrust {
  const fits = [...signature.inputs].every(([alias, info]) => fitsShape(info, inputs.get(alias)?.shape ?? []));
  return fits ? "declared" : "open";
}

function fitsShape({ shape }: TensorInfo, given: readonly number[]): boolean {
  return !shape || (shape.length === given.length && shape.every((size, axis) => size < 0 || size === given[axis]));
}
