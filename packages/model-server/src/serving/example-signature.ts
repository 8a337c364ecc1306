import { fromUtf8 } from "@cloister/encoding";
import type { Tensor } from "@cloister/encoding/tensor";
import { layoutOf } from "@cloister/encoding/tensor-proto";
import type { Servable, SignatureInfo } from "../engine/engine.ts";
import { callError } from "../errors.ts";
import { METHOD } from "./run-signature.ts";

/** The one input of classification and regression signatures. */
const INPUT = "inputs";
/** Aliases of their outputs. */
const CLASSES = "classes";
const SCORES = "scores";
const VALUES = "outputs";

/** One label with its score. */
export interface ScoredClass {
  readonly label: string;
  readonly score: number;
}

/** Serialized Examples as the vector that a signature is fed with. Throws INVALID_ARGUMENT where there are none. */
export function exampleTensor(examples: readonly Uint8Array[]): Tensor {
  if (examples.length === 0) throw callError("INVALID_ARGUMENT", "Input is empty.");
  return { dtype: "string", shape: [examples.length], data: examples };
}

export function exampleInputs(tensor: Tensor): Map<string, Tensor> {
  return new Map([[INPUT, tensor]]);
}

/** What an example signature calls its input in the graph. */
export function inputTensorOf({ inputs }: SignatureInfo): string {
  return inputs.get(INPUT)?.name ?? "";
}

/** The signature of that name. Throws as TensorFlow Serving's classifier.cc and regressor.cc do. */
export function findExampleSignature(servable: Servable, name: string): SignatureInfo {
  const signature = servable.signatures.get(name);
  if (signature === undefined) throw callError("INVALID_ARGUMENT", `No signature was found with the name: ${name}`);
  return signature;
}

/** Output aliases of a classification signature. Throws INVALID_ARGUMENT where it is none. */
export function classifyOutputs(signature: SignatureInfo, checkMethodName: boolean): string[] {
  requireMethod("classification", signature, METHOD.classify, checkMethodName);
  requireExampleInput("classification", signature);
  if (signature.outputs.size !== 1 && signature.outputs.size !== 2) {
    throw callError("INVALID_ARGUMENT", `Expected one or two output Tensors, found ${signature.outputs.size}`);
  }
  const outputs = [CLASSES, SCORES].filter((alias) => signature.outputs.has(alias));
  if (outputs.length < signature.outputs.size) {
    throw callError(
      "INVALID_ARGUMENT",
      `Expected classification signature outputs to be ${CLASSES} and ${SCORES}, or one of them.`,
    );
  }
  return outputs;
}

/** Output aliases of a regression signature. Throws INVALID_ARGUMENT where it is none. */
export function regressOutputs(signature: SignatureInfo, checkMethodName: boolean): string[] {
  requireMethod("regression", signature, METHOD.regress, checkMethodName);
  requireExampleInput("regression", signature);
  if (signature.outputs.size !== 1) throw callError("INVALID_ARGUMENT", "Expected one output Tensor.");
  if (!signature.outputs.has(VALUES)) {
    throw callError("INVALID_ARGUMENT", `No regression outputs found in SignatureDef: it has no output "${VALUES}".`);
  }
  return [VALUES];
}

function requireMethod(kind: string, { methodName }: SignatureInfo, expected: string, check: boolean): void {
  if (!check || methodName === expected) return;
  throw callError("INVALID_ARGUMENT", `Expected ${kind} signature method_name to be ${expected}. Was: ${methodName}`);
}

function requireExampleInput(kind: string, { inputs }: SignatureInfo): void {
  if (inputs.size !== 1) throw callError("INVALID_ARGUMENT", "Expected one input Tensor.");
  if (!inputs.has(INPUT)) {
    throw callError("INVALID_ARGUMENT", `No ${kind} inputs found in SignatureDef: it has no input "${INPUT}".`);
  }
}

/** For each example its classes. Missing labels are empty, missing scores 0. Throws INVALID_ARGUMENT. */
export function readClasses(outputs: ReadonlyMap<string, Tensor>, count: number): ScoredClass[][] {
  const labels = outputs.get(CLASSES);
  const scores = outputs.get(SCORES);
  if (labels !== undefined) requireMatrix("classes", labels, "string", count);
  if (scores !== undefined) requireMatrix("scores", scores, "float", count);
  const width = labels?.shape[1] ?? scores?.shape[1] ?? 0;
  if (labels !== undefined && scores !== undefined && labels.shape[1] !== scores.shape[1]) {
    throw callError(
      "INVALID_ARGUMENT",
      `Tensors class and score should match in dim_size(1). Got ${labels.shape[1]} vs. ${scores.shape[1]}`,
    );
  }
  return Array.from({ length: count }, (_, row) =>
    Array.from({ length: width }, (_, column) => ({
      label: labels === undefined ? "" : labelAt(labels, row * width + column),
      score: scores === undefined ? 0 : Number(scores.data[row * width + column] ?? 0),
    })),
  );
}

function labelAt({ data }: Tensor, index: number): string {
  const label = data[index];
  // A label that is not UTF-8 cannot be a string of the response's message.
  const text = label instanceof Uint8Array ? fromUtf8(label) : "";
  if (text === undefined) throw callError("INTERNAL", "A class label is not UTF-8.");
  return text;
}

function requireMatrix(name: string, tensor: Tensor, dtype: "string" | "float", count: number): void {
  if (tensor.shape.length !== 2) {
    throw callError(
      "INVALID_ARGUMENT",
      `Expected Tensor shape: [batch_size num_classes] but got [${tensor.shape.join(",")}]`,
    );
  }
  requireDType(name, tensor, dtype);
  requireBatch(name, tensor, count);
}

/** One value for each example. Throws INVALID_ARGUMENT. */
export function readRegressions(outputs: ReadonlyMap<string, Tensor>, count: number): number[] {
  const tensor = outputs.get(VALUES);
  if (tensor === undefined) throw callError("INVALID_ARGUMENT", "No regression outputs found in the result.");
  const { shape } = tensor;
  if (!(shape.length === 1 || (shape.length === 2 && shape[1] === 1))) {
    throw callError(
      "INVALID_ARGUMENT",
      `Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [${shape.join(",")}]`,
    );
  }
  requireDType("regressions", tensor, "float");
  requireBatch("regressions", tensor, count);
  return Array.from(tensor.data as Float32Array);
}

function requireDType(name: string, tensor: Tensor, dtype: "string" | "float"): void {
  if (tensor.dtype === dtype) return;
  const [expected, got] = [dtype, tensor.dtype].map((one) => `DT_${one.toUpperCase()}`);
  throw callError(
    "INVALID_ARGUMENT",
    `Expected ${name} Tensor of ${expected}. Got: ${got} (${layoutOf(tensor.dtype).code})`,
  );
}

function requireBatch(name: string, tensor: Tensor, count: number): void {
  if (tensor.shape[0] === count) return;
  throw callError("INVALID_ARGUMENT", `Expected ${name} output batch size of ${count}. Got: ${tensor.shape[0]}`);
}
