// For tests: the recorded operation cases of packages/saved-model/test-models/ops (format: README.md there).

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DType, NumericArray, Tensor } from "@cloister/encoding/tensor";

const DIR = join(import.meta.dirname, "../../../../saved-model/test-models/ops");

interface RecordedTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly values: readonly (number | string | boolean)[];
}

export interface RecordedCase {
  readonly name: string;
  readonly graph: Uint8Array;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly runs: readonly {
    readonly inputs: ReadonlyMap<string, Tensor>;
    readonly outputs: ReadonlyMap<string, Tensor>;
  }[];
}

type Numeric = Exclude<DType, "string">;

const DTYPES: Readonly<Record<string, Numeric>> = { float16: "half", float32: "float", float64: "double" };

const ARRAYS: Readonly<Partial<Record<Numeric, { from(values: never): NumericArray }>>> = {
  float: Float32Array,
  double: Float64Array,
  int32: Int32Array,
  int64: BigInt64Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
};

export function caseNames(): string[] {
  const files = readdirSync(DIR).filter((file) => file.endsWith(".pb"));
  return files.map((file) => file.slice(0, -".pb".length)).toSorted();
}

export function readCase(name: string): RecordedCase {
  const recorded = JSON.parse(readFileSync(join(DIR, `${name}.json`), "utf8")) as {
    inputs: Record<string, unknown>;
    runs: { inputs: Record<string, RecordedTensor>; outputs: Record<string, RecordedTensor> }[];
  };
  const tensors = (map: Record<string, RecordedTensor>): ReadonlyMap<string, Tensor> =>
    new Map(Object.entries(map).map(([alias, tensor]) => [alias, toTensor(tensor)]));
  return {
    name,
    graph: new Uint8Array(readFileSync(join(DIR, `${name}.pb`))),
    inputs: Object.keys(recorded.inputs),
    outputs: Object.keys(recorded.runs[0]?.outputs ?? {}),
    runs: recorded.runs.map(({ inputs, outputs }) => ({ inputs: tensors(inputs), outputs: tensors(outputs) })),
  };
}

function toTensor({ dtype: name, shape, values }: RecordedTensor): Tensor {
  if (name === "string") {
    return { dtype: name, shape, data: values.map((text) => new Uint8Array(Buffer.from(String(text), "base64"))) };
  }
  const dtype = DTYPES[name] ?? (name as Numeric);
  if (dtype === "half") {
    const data = Float16Array.from(values, Number);
    return { dtype, shape, data: new Uint16Array(data.buffer) };
  }
  if (dtype === "bfloat16") {
    // The upper half of a float, rounded: the decimals are as short as they can be.
    const bits = new Uint32Array(Float32Array.from(values, Number).buffer);
    return { dtype, shape, data: Uint16Array.from(bits, (each) => (each + 0x8000) >>> 16) };
  }
  const convert = dtype === "int64" || dtype === "uint64" ? BigInt : Number;
  const array = ARRAYS[dtype];
  if (!array) throw new Error(`the case holds ${name}`);
  return { dtype, shape, data: array.from(values.map((value) => convert(value)) as never) };
}

/** What is wrong with an answer, or `undefined` where it agrees: dtype and shape equal, floats within the tolerance. */
export function disagreement(actual: Tensor | undefined, expected: Tensor): string | undefined {
  if (!actual) return "there is no such output";
  if (actual.dtype !== expected.dtype) return `dtype ${actual.dtype} instead of ${expected.dtype}`;
  if (actual.shape.join() !== expected.shape.join())
    return `shape [${actual.shape.join()}] instead of [${expected.shape.join()}]`;
  if (expected.dtype === "string") return stringDisagreement(actual, expected);
  const [got, want] = [numbers(actual), numbers(expected)];
  const tolerance = { half: 1e-3, bfloat16: 1e-2, float: 1e-5, double: 1e-5 }[expected.dtype as string] ?? 0;
  const index = want.findIndex((value, i) => !agrees(got[i] ?? 0, value, tolerance));
  return index === -1 ? undefined : `element ${index} is ${got[index]} instead of ${want[index]}`;
}

function stringDisagreement(actual: Tensor, expected: Tensor): string | undefined {
  const [got, want] = [actual, expected].map(({ data }) =>
    (data as readonly Uint8Array[]).map((bytes) => Buffer.from(bytes)),
  );
  const index = want?.findIndex((bytes, i) => !bytes.equals(got?.[i] ?? Buffer.alloc(0))) ?? -1;
  return index === -1
    ? undefined
    : `element ${index} is "${String(got?.[index])}" instead of "${String(want?.[index])}"`;
}

function agrees(got: number | bigint, want: number | bigint, tolerance: number): boolean {
  if (Object.is(got, want) || got === want) return true;
  if (typeof got === "bigint" || typeof want === "bigint") return false;
  return Math.abs(got - want) <= tolerance * (1 + Math.abs(want));
}

function numbers({ dtype, data }: Tensor): readonly (number | bigint)[] {
  const array = data as NumericArray;
  if (dtype === "bfloat16")
    return [...new Float32Array(Uint32Array.from(array as Uint16Array, (each) => each << 16).buffer)];
  if (dtype === "half")
    return Array.from(new Float16Array(array.buffer as ArrayBuffer, array.byteOffset, array.length));
  return Array.from(array as Float32Array);
}

const MODELS = join(import.meta.dirname, "../../../../saved-model/test-models/recorded");

/** A recorded SavedModel: its folder, and one request with TensorFlow's answer. */
export interface RecordedModel {
  readonly dir: string;
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
}

export function modelNames(): string[] {
  return readdirSync(MODELS).toSorted();
}

export function readRecordedModel(name: string): RecordedModel {
  const dir = join(MODELS, name);
  const golden = JSON.parse(readFileSync(join(dir, "golden.json"), "utf8")) as Record<
    "inputs" | "outputs",
    Record<string, RecordedTensor>
  >;
  const tensors = (map: Record<string, RecordedTensor>): ReadonlyMap<string, Tensor> =>
    new Map(Object.entries(map).map(([alias, tensor]) => [alias, toTensor(tensor)]));
  return { dir, inputs: tensors(golden.inputs), outputs: tensors(golden.outputs) };
}
