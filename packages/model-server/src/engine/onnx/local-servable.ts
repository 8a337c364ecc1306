import type { Tensor } from "@cloister/encoding/tensor";
import {
  describeMissing,
  initializationProgram,
  isStateful,
  ModelState,
  readSavedModel,
  type SavedModel,
  SavedModelError,
  type ShapeTrust,
  type Signature,
  SignatureProgram,
} from "@cloister/saved-model";
import type { ModelFiles } from "@cloister/saved-model";
import type { RunRequest, Servable, SignatureInfo, TensorInfo } from "../engine.ts";
import { checkRequest, requireSignature } from "../check-request.ts";
import { closed, engineError } from "../failure.ts";
import { CompiledProgram } from "./compiled-program.ts";
import { type PreparedModel, programId } from "./prepared-model.ts";
import type { SessionOptions } from "./session.ts";

/** Compiled programs that are kept: one for each set of outputs that was asked for, and for shapes off the signature. */
const MAX_SESSIONS = 16;

export interface LoadOptions extends SessionOptions {
  /** Tags of the graph to load, all of them and no others. */
  readonly tags: readonly string[];
}

/**
 * A model in the thread that calls it: `run` blocks that thread. The signature `serving_default` (or the first that can run) is
 * compiled at load, others when they are first asked for.
 */
export class LocalServable implements Servable {
  readonly signatures: ReadonlyMap<string, Signature>;
  readonly unsupported: ReadonlyMap<string, string>;
  readonly #read: () => SavedModel;
  readonly #state: ModelState;
  readonly #options: LoadOptions;
  readonly #programs = new Map<string, Promise<CompiledProgram>>();
  #prepared: PreparedModel | undefined;
  #isClosed = false;

  private constructor(
    { signatures, unsupported }: Pick<PreparedModel, "signatures" | "unsupported">,
    read: () => SavedModel,
    state: ModelState,
    options: LoadOptions,
  ) {
    this.#read = read;
    this.#state = state;
    this.#options = options;
    this.signatures = signatures;
    this.unsupported = unsupported;
  }

  /**
   * @param keeps whether `prepared` is wanted
   * @throws SavedModelError (UNSUPPORTED_OPS where no signature can run), EngineError LOAD_FAILED
   */
  static async load(files: ModelFiles, options: LoadOptions, keeps = false): Promise<LocalServable> {
    const model = readSavedModel(files, options.tags);
    const lowered = new Map(
      [...model.signatures.keys()].map((key) => [key, new SignatureProgram(model, key, "declared")]),
    );
    const unsupported = unsupportedSignatures(lowered);
    const state = new ModelState(model.variables, files, model.tables);
    const servable = new LocalServable({ signatures: model.signatures, unsupported }, () => model, state, options);
    const runnable = [...model.signatures.keys()].filter((key) => !unsupported.has(key));
    const first = runnable.includes("serving_default") ? "serving_default" : runnable[0];
    const program = first === undefined ? undefined : lowered.get(first);
    if (first === undefined || !program) throw nothingRuns(model, unsupported);
    const isInitialized = await initialize(model, state, options);
    const hasState = isInitialized || model.tables.size > 0 || isStateful(model);
    await servable.#loadFirst(first, program, keeps && !hasState);
    return servable;
  }

  /** Loads what `load` has prepared before. The files are read when another program is asked for. @throws EngineError LOAD_FAILED */
  static async restore(files: ModelFiles, prepared: PreparedModel, options: LoadOptions): Promise<LocalServable> {
    let model: SavedModel | undefined;
    const read = (): SavedModel => (model ??= readSavedModel(files, options.tags));
    // Only a model without state is ever prepared.
    const servable = new LocalServable(prepared, read, new ModelState(new Map(), files), options);
    const program = await CompiledProgram.restore(prepared.program, servable.#state, options);
    servable.#programs.set(prepared.id, Promise.resolve(program));
    return servable;
  }

  /** What loading has made, for `restore`, once: it is the caller's then. Absent for a model with state or host calls. */
  takePrepared(): PreparedModel | undefined {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    return prepared;
  }

  async #loadFirst(key: string, lowered: SignatureProgram, keeps: boolean): Promise<void> {
    const outputs = [...(this.signatures.get(key)?.outputs.keys() ?? [])].toSorted();
    const id = programId(key, "declared", outputs);
    const program = lowered.build(outputs);
    if (!keeps) {
      this.#programs.set(id, Promise.resolve(await CompiledProgram.create(program, this.#state, this.#options)));
      return;
    }
    const { compiled, optimized } = await CompiledProgram.createAndKeep(program, this.#state, this.#options);
    this.#programs.set(id, Promise.resolve(compiled));
    const { signatures, unsupported } = this;
    if (optimized) this.#prepared = { signatures, unsupported, id, program: optimized };
  }

  /** Whether requests can change the model's state. */
  get isStateful(): boolean {
    return isStateful(this.#read());
  }

  async run({ signature: key, inputs, outputs }: RunRequest): Promise<Map<string, Tensor>> {
    if (this.#isClosed) throw closed();
    const signature = requireSignature(this.signatures, key);
    const reason = this.unsupported.get(key);
    if (reason !== undefined) {
      throw engineError(
        "UNSUPPORTED_OPS",
        `the signature ${key} cannot run`,
        reason,
        "use another signature or engine",
      );
    }
    const whole = new Map([...(signature.defaults ?? []), ...inputs]);
    checkRequest(signature, whole, outputs);
    const program = await this.#program(key, trustFor(signature, whole), outputs);
    return program.run(whole);
  }

  async #program(key: string, trust: ShapeTrust, outputs: readonly string[]): Promise<CompiledProgram> {
    const id = programId(key, trust, outputs);
    const known = this.#programs.get(id);
    if (known) {
      // The map is in order of last use.
      this.#programs.delete(id);
      this.#programs.set(id, known);
      return known;
    }
    const program = new SignatureProgram(this.#read(), key, trust).build([...new Set(outputs)].toSorted());
    const created = CompiledProgram.create(program, this.#state, this.#options);
    this.#programs.set(id, created);
    created.catch(() => this.#programs.delete(id));
    await this.#evict();
    return created;
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

/** Fills tables and sets variables as the model's own initialisation does. Whether there was anything to do. */
async function initialize(model: SavedModel, state: ModelState, options: SessionOptions): Promise<boolean> {
  const program = initializationProgram(model);
  if (!program || program.steps.length === 0) return false;
  const compiled = await CompiledProgram.create(program, state, options);
  try {
    await compiled.run(new Map());
  } finally {
    await compiled.release();
  }
  return true;
}

function unsupportedSignatures(lowered: ReadonlyMap<string, SignatureProgram>): Map<string, string> {
  const unsupported = new Map<string, string>();
  for (const [key, program] of lowered) {
    const missing = program.missing();
    if (missing.length > 0) unsupported.set(key, describeMissing(missing));
  }
  return unsupported;
}

function nothingRuns(model: SavedModel, unsupported: ReadonlyMap<string, string>): SavedModelError {
  const reasons = [...unsupported].map(([key, reason]) => `${key}: ${reason}`).join("; ");
  return new SavedModelError("UNSUPPORTED_OPS", {
    what: "no signature of the model can run",
    why: model.signatures.size === 0 ? "it has none" : reasons,
    remedy: "export a model without these ops, or run: cloister engine install tensorflow",
  });
}

/** Programs are compiled for the declared shapes; a request that differs from them takes one that relies on nothing. */
function trustFor(signature: SignatureInfo, inputs: ReadonlyMap<string, Tensor>): ShapeTrust {
  const fits = [...signature.inputs].every(([alias, info]) => fitsShape(info, inputs.get(alias)?.shape ?? []));
  return fits ? "declared" : "open";
}

function fitsShape({ shape }: TensorInfo, given: readonly number[]): boolean {
  return !shape || (shape.length === given.length && shape.every((size, axis) => size < 0 || size === given[axis]));
}
