import type { ModelReference } from "@cloister/encoding/tensor-proto";
import type { RawInferenceTask } from "@cloister/encoding/inference-messages";
import type { Tensor } from "@cloister/encoding/tensor";
import type { Servable } from "../engine/engine.ts";
import { callError } from "../errors.ts";
import type { Api } from "../metrics/serving-metrics.ts";
import type { ServingContext } from "./context.ts";
import {
  classifyOutputs,
  exampleInputs,
  exampleTensor,
  findExampleSignature,
  readClasses,
  readRegressions,
  regressOutputs,
  type ScoredClass,
} from "./example-signature.ts";
import { requireModel } from "./model-spec.ts";
import type { ServableHandle } from "./registry.ts";
import { DEFAULT_SIGNATURE, METHOD, runSignature } from "./run-signature.ts";

/** A call with tf.Examples, without its transport. */
export interface ExamplesCall {
  readonly model: ModelReference | undefined;
  /** Serialized tf.Examples. */
  readonly examples: readonly Uint8Array[];
  readonly signal: AbortSignal | undefined;
}

export interface ExamplesAnswer<Row> {
  readonly model: ModelReference;
  /** One for each example. */
  readonly rows: readonly Row[];
}

/** A task's answer, in the order of the tasks. */
export type TaskAnswer =
  | (ExamplesAnswer<readonly ScoredClass[]> & { readonly kind: "classify" })
  | (ExamplesAnswer<number> & { readonly kind: "regress" });

/** PredictionService.Classify, as TensorFlow Serving's classifier.cc does it. */
export function classify(context: ServingContext, call: ExamplesCall): Promise<ExamplesAnswer<readonly ScoredClass[]>> {
  return onModel(context, "Classify", call, (handle, name) =>
    classifyOn(handle.servable, name, call, context.checkMethodNames),
  );
}

/** PredictionService.Regress, as TensorFlow Serving's regressor.cc does it. */
export function regress(context: ServingContext, call: ExamplesCall): Promise<ExamplesAnswer<number>> {
  return onModel(context, "Regress", call, (handle, name) =>
    regressOn(handle.servable, name, call, context.checkMethodNames),
  );
}

/** Classify on a servable that is held already. */
export function classifyOn(
  servable: Servable,
  signatureName: string,
  call: Omit<ExamplesCall, "model">,
  checkMethodName: boolean,
): Promise<ScoredClass[][]> {
  const outputs = classifyOutputs(findExampleSignature(servable, signatureName), checkMethodName);
  return runExamples(servable, signatureName, call, outputs, readClasses);
}

/** Regress on a servable that is held already. */
export function regressOn(
  servable: Servable,
  signatureName: string,
  call: Omit<ExamplesCall, "model">,
  checkMethodName: boolean,
): Promise<number[]> {
  const outputs = regressOutputs(findExampleSignature(servable, signatureName), checkMethodName);
  return runExamples(servable, signatureName, call, outputs, readRegressions);
}

async function runExamples<Row>(
  servable: Servable,
  signature: string,
  { examples, signal }: Omit<ExamplesCall, "model">,
  outputs: readonly string[],
  read: (outputs: ReadonlyMap<string, Tensor>, count: number) => Row[],
): Promise<Row[]> {
  const inputs = exampleInputs(exampleTensor(examples));
  const request = { signature, inputs, outputs, ...(signal !== undefined && { signal }) };
  return read(await runSignature(servable, request), examples.length);
}

export interface MultiInferenceCall {
  readonly tasks: readonly RawInferenceTask[];
  readonly examples: readonly Uint8Array[];
  readonly signal: AbortSignal | undefined;
}

/**
 * PredictionService.MultiInference. TensorFlow Serving runs the union of the tasks' outputs at once; here each signature
 * runs on its own, one after the other, on the same version. The results differ only for models that change their state.
 */
export async function multiInfer(context: ServingContext, call: MultiInferenceCall): Promise<TaskAnswer[]> {
  const model = requireModel(call.tasks[0]?.model);
  const handle = context.registry.acquire(model);
  try {
    return await multiInferOn(handle, call, context.checkMethodNames);
  } finally {
    handle.release();
  }
}

/** MultiInference on a version that is held already. */
export async function multiInferOn(
  { servable, name, version }: Omit<ServableHandle, "release">,
  { tasks, ...call }: MultiInferenceCall,
  checkMethodNames: boolean,
): Promise<TaskAnswer[]> {
  checkTasks(tasks);
  const answers: TaskAnswer[] = [];
  for (const { model, methodName } of tasks) {
    const signatureName = effectiveSignature(model);
    const answered = { name, version, signatureName };
    if (methodName === METHOD.classify) {
      const rows = await classifyOn(servable, signatureName, call, checkMethodNames);
      answers.push({ kind: "classify", model: answered, rows });
    } else {
      const rows = await regressOn(servable, signatureName, call, checkMethodNames);
      answers.push({ kind: "regress", model: answered, rows });
    }
  }
  return answers;
}

function checkTasks(tasks: readonly RawInferenceTask[]): void {
  const seen = new Set<string>();
  for (const { model, methodName } of tasks) {
    if ((model?.name ?? "") === "") {
      throw callError("INVALID_ARGUMENT", "Found ModelSpec with an empty model name.");
    }
    if (model?.name !== tasks[0]?.model?.name) {
      throw callError("INVALID_ARGUMENT", "All ModelSpecs in a MultiInferenceRequest must access the same model name.");
    }
    const signatureName = effectiveSignature(model);
    if (seen.has(signatureName)) {
      throw callError("INVALID_ARGUMENT", `Duplicate evaluation of signature: ${signatureName}`);
    }
    seen.add(signatureName);
    if (methodName !== METHOD.classify && methodName !== METHOD.regress) {
      throw callError("UNIMPLEMENTED", `Unsupported signature method_name: ${methodName}`);
    }
  }
}

function effectiveSignature(model: ModelReference | undefined): string {
  const name = model?.signatureName ?? "";
  return name === "" ? DEFAULT_SIGNATURE : name;
}

async function onModel<Row>(
  { registry, metrics }: ServingContext,
  api: Api,
  call: ExamplesCall,
  run: (handle: ServableHandle, signatureName: string) => Promise<Row[]>,
): Promise<ExamplesAnswer<Row>> {
  const reference = requireModel(call.model);
  const handle = registry.acquire(reference);
  try {
    metrics.exampleCounts.at(handle.name).observe(call.examples.length);
    metrics.exampleCountTotal.at(handle.name).add(call.examples.length);
    const signatureName = effectiveSignature(reference);
    const startedAt = performance.now();
    const rows = await run(handle, signatureName);
    metrics.runtimeLatency.at(handle.name, api, "TF1").observe((performance.now() - startedAt) * 1000);
    return { model: { name: handle.name, version: handle.version, signatureName }, rows };
  } finally {
    handle.release();
  }
}
