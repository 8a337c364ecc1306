import type { ModelReference } from "@cloister/encoding/tensor-proto";
import type { Tensor } from "@cloister/encoding/tensor";
import type { Servable, SignatureInfo } from "../engine/engine.ts";
import { callError, type ModelServerError } from "../errors.ts";
import { type ServingContext, timed } from "./context.ts";
import { noteModel } from "../tracing/span.ts";
import { requireModel } from "./model-spec.ts";
import { DEFAULT_SIGNATURE, METHOD, runSignature } from "./run-signature.ts";

/** A Predict call without its transport. */
export interface PredictCall {
  readonly model: ModelReference | undefined;
  /** Output aliases; empty means all. */
  readonly outputFilter: readonly string[];
  /** Reads the inputs, once it is known which signature they are for. */
  readonly readInputs: (signature: SignatureInfo) => Map<string, Tensor>;
  readonly signal: AbortSignal | undefined;
}

export interface PredictAnswer {
  /** Name, version and signature that answered. */
  readonly model: ModelReference;
  readonly outputs: Map<string, Tensor>;
}

/** PredictionService.Predict: codes and texts follow TensorFlow Serving's predict_util.cc and server_core.cc. */
export async function predict(context: ServingContext, call: PredictCall): Promise<PredictAnswer> {
  const model = requireModel(call.model);
  const handle = context.registry.acquire(model);
  try {
    const signatureName = model.signatureName === "" ? DEFAULT_SIGNATURE : model.signatureName;
    if (context.signatureMissing !== undefined && !handle.servable.signatures.has(signatureName)) {
      throw context.signatureMissing(signatureName);
    }
    noteModel(handle);
    const outputs = await timed(context, { api: "Predict", model: handle.name }, () =>
      predictOn(handle.servable, signatureName, call, context.checkMethodNames),
    );
    return { model: { name: handle.name, version: handle.version, signatureName }, outputs };
  } finally {
    handle.release();
  }
}

/** Predict on a servable that is held already. */
export function predictOn(
  servable: Servable,
  signatureName: string,
  call: Omit<PredictCall, "model">,
  checkMethodNames: boolean,
): Promise<Map<string, Tensor>> {
  const signature = findSignature(servable, signatureName, checkMethodNames);
  const inputs = call.readInputs(signature);
  const outputs = wantedOutputs(call.outputFilter, signature);
  return runSignature(servable, {
    signature: signatureName,
    inputs,
    outputs,
    ...(call.signal !== undefined && { signal: call.signal }),
  });
}

function findSignature(servable: Servable, name: string, checkMethodNames: boolean): SignatureInfo {
  const signature = servable.signatures.get(name);
  if (signature === undefined) throw callError("FAILED_PRECONDITION", `Serving signature key "${name}" not found.`);
  if (checkMethodNames && !Object.values<string>(METHOD).includes(signature.methodName)) {
    throw callError(
      "INTERNAL",
      `Expected prediction signature method_name to be one of {${METHOD.predict}, ${METHOD.classify}, ` +
        `${METHOD.regress}}. Was: ${signature.methodName}`,
    );
  }
  return signature;
}

/**
 * Reads the tensor of each input of a signature with `read`. A missing one takes the signature's default. Throws
 * INVALID_ARGUMENT as TensorFlow Serving does.
 */
export function inputsOf<Raw>(
  sent: ReadonlyMap<string, Raw>,
  signature: SignatureInfo,
  read: (alias: string, raw: Raw) => Tensor,
): Map<string, Tensor> {
  const defaults = signature.defaults;
  const needed = signature.inputs.size;
  if (sent.size > needed || (sent.size < needed && (defaults === undefined || defaults.size === 0))) {
    throw sizeMismatch(sent, signature.inputs);
  }
  const inputs = new Map<string, Tensor>();
  let used = 0;
  for (const [alias, info] of signature.inputs) {
    const raw = sent.get(alias);
    const tensor = raw === undefined ? defaults?.get(alias) : read(alias, raw);
    if (tensor === undefined) {
      throw callError("INVALID_ARGUMENT", `Inputs contains invalid name. Missing input: ${alias} (feed ${info.name}).`);
    }
    if (raw !== undefined) used++;
    inputs.set(alias, tensor);
  }
  if (used < sent.size) {
    const extra = [...sent.keys()].filter((alias) => !signature.inputs.has(alias)).toSorted();
    throw callError(
      "INVALID_ARGUMENT",
      `Inputs contains invalid name. Used inputs: ${used}, unknown: ${extra.join(",")}.`,
    );
  }
  return inputs;
}

function sizeMismatch(sent: ReadonlyMap<string, unknown>, wanted: ReadonlyMap<string, unknown>): ModelServerError {
  const list = (names: Iterable<string>): string => `{${[...names].toSorted().join(",")}}`;
  const extra = [...sent.keys()].filter((alias) => !wanted.has(alias));
  const missing = [...wanted.keys()].filter((alias) => !sent.has(alias));
  return callError(
    "INVALID_ARGUMENT",
    `input size does not match signature: ${sent.size}!=${wanted.size} len(${list(sent.keys())}) != ` +
      `len(${list(wanted.keys())}). Sent extra: ${list(extra)}. Missing but required: ${list(missing)}.`,
  );
}

function wantedOutputs(filter: readonly string[], signature: SignatureInfo): string[] {
  if (filter.length === 0) return [...signature.outputs.keys()];
  const wanted = new Set<string>();
  for (const alias of filter) {
    if (!signature.outputs.has(alias)) {
      const known = [...signature.outputs.keys()].toSorted().join(",");
      throw callError(
        "INVALID_ARGUMENT",
        `output tensor alias not found in signature: ${alias} Outputs expected to be in the set {${known}}.`,
      );
    }
    if (wanted.has(alias)) throw callError("INVALID_ARGUMENT", `duplicate output tensor alias: ${alias}`);
    wanted.add(alias);
  }
  return [...wanted];
}
