import type { ModelReference } from "@cloister/encoding/tensor-proto";
import type { RawInferenceTask } from "@cloister/encoding/inference-messages";
import type { Tensor } from "@cloister/encoding/tensor";
import type { Servable } from "../engine/engine.ts";
import { callError } from "../errors.ts";
import type { Api } from "../metrics/serving-metrics.ts";
import { type ServingContext, timed } from "./context.ts";
import {
  classifyOutputs,
  exampleInputs,
  exampleTensor,
  findExampleSignature,
  inputTensorOf,
  readClasses,
  readRegressions,
  regressOutputs,
  type ScoredClass,
} from "./example-signature.ts";
import { requireModel } from "./model-spec.ts";
import type { ServableHandle } from "./registry.ts";
import { DEFAULT_SIGNATURE, METHOD, runJointly, type RunPart, runSignature } from "./run-signature.ts";

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

/** PredictionService.MultiInference, as TensorFlow Serving's multi_inference.cc does it. */
export async function multiInfer(context: ServingContext, call: MultiInferenceCall): Promise<TaskAnswer[]> {
  const model = requireModel(call.tasks[0]?.model);
  const handle = context.registry.acquire(model);
  try {
    countExamples(context, handle, call);
    const about = { api: "MultiInference", model: handle.name } as const;
    return await timed(context, about, () => multiInferOn(handle, call, context.checkMethodNames));
  } finally {
    handle.release();
  }
}

/**
 * MultiInference on a version that is held already. Tasks whose signatures read the same tensor are one run of the graph, for the union of
 * their outputs. TensorFlow Serving refuses others; here they run too, so that models of TensorFlow 2, whose signatures each have
 * an input of their own, can be asked at once.
 */
export async function multiInferOn(
  { servable, name, version }: Omit<ServableHandle, "release">,
  { tasks, examples, signal }: MultiInferenceCall,
  checkMethodNames: boolean,
): Promise<TaskAnswer[]> {
  const planned = planTasks(servable, tasks, checkMethodNames);
  const inputs = exampleInputs(exampleTensor(examples));
  const outputs = new Map<PlannedTask, ReadonlyMap<string, Tensor>>();
  for (const together of Map.groupBy(planned, ({ inputTensor }) => inputTensor).values()) {
    const results = await runJointly(servable, together, { inputs, ...(signal !== undefined && { signal }) });
    for (const [index, task] of together.entries()) outputs.set(task, results[index] ?? new Map());
  }
  return planned.map((task): TaskAnswer => {
    const { kind, signature: signatureName } = task;
    const model = { name, version, signatureName };
    const own = outputs.get(task) ?? new Map<string, Tensor>();
    return kind === "classify"
      ? { kind, model, rows: readClasses(own, examples.length) }
      : { kind, model, rows: readRegressions(own, examples.length) };
  });
}

/** A task that may run. */
interface PlannedTask extends RunPart {
  readonly kind: TaskAnswer["kind"];
  /** The name in the graph of what it is fed. */
  readonly inputTensor: string;
}

function planTasks(servable: Servable, tasks: readonly RawInferenceTask[], checkMethodNames: boolean): PlannedTask[] {
  const seen = new Set<string>();
  return tasks.map(({ model, methodName }) => {
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
    const signature = servable.signatures.get(signatureName);
    if (signature === undefined) {
      throw callError("INVALID_ARGUMENT", `Requested signature not found in model graph: ${signatureName}`);
    }
    if (methodName !== METHOD.classify && methodName !== METHOD.regress) {
      throw callError("UNIMPLEMENTED", `Unsupported signature method_name: ${methodName}`);
    }
    const isClassify = methodName === METHOD.classify;
    const outputs = (isClassify ? classifyOutputs : regressOutputs)(signature, checkMethodNames);
    const kind = isClassify ? "classify" : "regress";
    return { kind, signature: signatureName, outputs, inputTensor: inputTensorOf(signature) };
  });
}

function effectiveSignature(model: ModelReference | undefined): string {
  const name = model?.signatureName ?? "";
  return name === "" ? DEFAULT_SIGNATURE : name;
}

async function onModel<Row>(
  context: ServingContext,
  api: Api,
  call: ExamplesCall,
  run: (handle: ServableHandle, signatureName: string) => Promise<Row[]>,
): Promise<ExamplesAnswer<Row>> {
  const reference = requireModel(call.model);
  const handle = context.registry.acquire(reference);
  try {
    countExamples(context, handle, call);
    const signatureName = effectiveSignature(reference);
    const rows = await timed(context, { api, model: handle.name }, () => run(handle, signatureName));
    return { model: { name: handle.name, version: handle.version, signatureName }, rows };
  } finally {
    handle.release();
  }
}

function countExamples(
  { metrics }: ServingContext,
  { name }: ServableHandle,
  { examples }: Pick<ExamplesCall, "examples">,
): void {
  metrics.exampleCounts.at(name).observe(examples.length);
  metrics.exampleCountTotal.at(name).add(examples.length);
}
