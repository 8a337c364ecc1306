import { randomBytes } from "node:crypto";
import {
  describeMissing,
  initializationProgram,
  isStateful,
  ModelState,
  readSavedModel,
  type SavedModel,
  SavedModelError,
  SignatureProgram,
} from "@cloister/saved-model";
import type { ModelFiles } from "@cloister/saved-model";
import { requireSignature } from "../check-request.ts";
import { type SignatureKey, signatureKeys } from "../joint-signature.ts";
import { CompiledProgram } from "./compiled-program.ts";
import { type LoadOptions, LocalServable, type LoweredModel } from "./local-servable.ts";
import { programId } from "./prepared-model.ts";
import type { SessionOptions } from "./session.ts";

/**
 * Loads a model. The signature `serving_default` (or the first that can run) is compiled, others are when they are first asked for.
 *
 * @param keeps whether `takePrepared` is wanted
 * @throws SavedModelError (UNSUPPORTED_OPS where no signature can run), EngineError LOAD_FAILED
 */
export async function loadModel(files: ModelFiles, options: LoadOptions, keeps = false): Promise<LocalServable> {
  const model = readSavedModel(files, options.tags);
  const { signatures } = model;
  const { op: initOp } = model.initialization;
  const lowered = new Map([...signatures.keys()].map((key) => [key, new SignatureProgram(model, key, "declared")]));
  const unsupported = unsupportedSignatures(lowered);
  const runnable = [...signatures.keys()].filter((key) => !unsupported.has(key));
  const key = runnable.includes("serving_default") ? "serving_default" : runnable[0];
  const signature = key === undefined ? undefined : lowered.get(key);
  if (key === undefined || !signature) throw nothingRuns(model, unsupported);
  const source = lowererOf(model, files);
  const isInitialized = await initialize(model, source.state, options);
  const hasState = isStateful(model);
  const outputs = [...(signatures.get(key)?.outputs.keys() ?? [])].toSorted();
  const id = programId(key, "declared", outputs);
  const program = signature.build(outputs);
  const canKeep = keeps && !isInitialized && !hasState && model.tables.size === 0;
  const kept = canKeep ? await CompiledProgram.keep(program, options) : undefined;
  // A kept graph is shared with those who restore it.
  const compiled = kept
    ? await CompiledProgram.restore(kept, options)
    : await CompiledProgram.create(program, source.state, options);
  return new LocalServable({
    signatures,
    unsupported,
    initOp,
    isStateful: hasState,
    model: async () => source,
    options,
    first: { id, program: compiled },
    ...(kept && { prepared: { signatures, unsupported, initOp, id, program: kept } }),
  });
}

/** Reads a model, to lower programs of it. */
export function lowerModel(files: ModelFiles, tags: readonly string[]): LoweredModel {
  return lowererOf(readSavedModel(files, tags), files);
}

function lowererOf(model: SavedModel, files: ModelFiles): LoweredModel {
  return {
    state: new ModelState(model.variables, files, model.tables, randomBytes),
    program: (key, trust, outputs) => new SignatureProgram(...withSignature(model, key), trust).build(outputs),
  };
}

/** A model that has the signatures of `key` as one, and what it is called there. */
function withSignature(model: SavedModel, key: SignatureKey): readonly [SavedModel, string] {
  const name = signatureKeys(key).join(" + ");
  return [{ ...model, signatures: new Map([[name, requireSignature(model.signatures, key)]]) }, name];
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
