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
import type { SessionOptions } from "./session.ts";

/** Compiled programs that are kept: one for each set of outputs that was asked for, and for shapes off the signature. */
const MAX_SESSIONS = 16;

/**
 * A model in the thread that calls it: `run` blocks that thread. The signature `serving_default` (or the first that can run) is
 * compiled at load, others when they are first asked for.
 */
export class LocalServable implements Servable {
  readonly signatures: ReadonlyMap<string, Signature>;
  readonly unsupported: ReadonlyMap<string, string>;
  readonly #model: SavedModel;
  readonly #state: ModelState;
  readonly #options: SessionOptions;
  readonly #programs = new Map<string, Promise<CompiledProgram>>();
  #isClosed = false;

  private constructor(
    model: SavedModel,
    unsupported: ReadonlyMap<string, string>,
    state: ModelState,
    options: SessionOptions,
  ) {
    this.#model = model;
    this.#state = state;
    this.#options = options;
    this.signatures = model.signatures;
    this.unsupported = unsupported;
  }

  /** @throws SavedModelError (UNSUPPORTED_OPS where no signature can run), EngineError LOAD_FAILED */
  static async load(files: ModelFiles, options: SessionOptions): Promise<LocalServable> {
    const model = readSavedModel(files);
    const unsupported = unsupportedSignatures(model);
    const state = new ModelState(model.variables, files, model.tables);
    const servable = new LocalServable(model, unsupported, state, options);
    const runnable = [...model.signatures.keys()].filter((key) => !unsupported.has(key));
    const first = runnable.includes("serving_default") ? "serving_default" : runnable[0];
    if (first === undefined) throw nothingRuns(model, unsupported);
    await initialize(model, state, options);
    await servable.#program(first, "declared", [...(model.signatures.get(first)?.outputs.keys() ?? [])]);
    return servable;
  }

  /** Whether requests can change the model's state. */
  get isStateful(): boolean {
    return isStateful(this.#model);
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
    const wanted = [...new Set(outputs)].toSorted();
    const id = JSON.stringify([key, trust, wanted]);
    const known = this.#programs.get(id);
    if (known) {
      // The map is in order of last use.
      this.#programs.delete(id);
      this.#programs.set(id, known);
      return known;
    }
    const program = new SignatureProgram(this.#model, key, trust).build(wanted);
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

/** Fills tables and sets variables as the model's own initialisation does. */
async function initialize(model: SavedModel, state: ModelState, options: SessionOptions): Promise<void> {
  const program = initializationProgram(model);
  if (!program) return;
  const compiled = await CompiledProgram.create(program, state, options);
  try {
    await compiled.run(new Map());
  } finally {
    await compiled.release();
  }
}

function unsupportedSignatures(model: SavedModel): Map<string, string> {
  const unsupported = new Map<string, string>();
  for (const key of model.signatures.keys()) {
    const missing = new SignatureProgram(model, key, "declared").missing();
    if (missing.length > 0) unsupported.set(key, describeMissing(missing));
  }
  return unsupported;
}

function nothingRuns(model: SavedModel, unsupported: ReadonlyMap<string, string>): SavedModelError {
  const reasons = [...unsupported].map(([key, reason]) => `${key}: ${reason}`).join("; ");
  return new SavedModelError("UNSUPPORTED_OPS", {
    what: "no signature of the model can run",
    why: model.signatures.size === 0 ? "it has none" : reasons,
    remedy: "export a model without these ops, or serve it with TensorFlow",
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
