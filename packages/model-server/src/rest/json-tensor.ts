import { fromBase64 } from "@cloister/encoding/base64";
import { utf8 } from "@cloister/encoding";
import type { DType, NumericArray, Tensor } from "@cloister/encoding/tensor";
import { layoutOf } from "@cloister/encoding/tensor-proto";
import { callError } from "../errors.ts";
import type { JsonReader } from "./json-reader.ts";

const FIRST_CAPACITY = 16;
const BASE64_KEY = "b64";
const INTEGER_RANGE: Partial<Record<DType, readonly [bigint, bigint]>> = {
  // The small types are cut to their size, as TensorFlow Serving does: what is checked is the range of int32.
  int8: [-(2n ** 31n), 2n ** 31n - 1n],
  int16: [-(2n ** 31n), 2n ** 31n - 1n],
  uint8: [-(2n ** 31n), 2n ** 31n - 1n],
  uint16: [-(2n ** 31n), 2n ** 31n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

/**
 * Reads JSON values of one shape into one array, without a JavaScript array in between. The shape is that of the first value;
 * each later one has to have it too. Throws INVALID_ARGUMENT, UNIMPLEMENTED for dtypes that JSON cannot carry.
 */
export class JsonTensorParser {
  readonly #dtype: DType;
  readonly #dims: (number | undefined)[] = [];
  readonly #strings: Uint8Array[] = [];
  #numbers: NumericArray | undefined;
  #leafDepth: number | undefined;
  #count = 0;
  #values = 0;

  constructor(dtype: DType) {
    this.#dtype = dtype;
    if (dtype === "half" || dtype === "bfloat16") {
      throw callError("UNIMPLEMENTED", `Unsupported tensor type: DT_${dtype.toUpperCase()}`);
    }
    this.#numbers = layoutOf(dtype).allocate?.(FIRST_CAPACITY);
  }

  /** Adds one value: a scalar, or lists of lists. */
  read(reader: JsonReader): void {
    this.#read(reader, 0);
    this.#values++;
  }

  /** The value that was read; with `isBatch` all values, in a new first dimension. */
  tensor(isBatch: boolean): Tensor {
    const dims = this.#dims.map((size) => size ?? 0);
    const data = this.#numbers === undefined ? this.#strings : this.#numbers.slice(0, this.#count);
    return { dtype: this.#dtype, shape: isBatch ? [this.#values, ...dims] : dims, data };
  }

  #read(reader: JsonReader, depth: number): void {
    if (reader.peek() !== "array") {
      this.#readScalar(reader, depth);
      return;
    }
    if (this.#leafDepth !== undefined && depth >= this.#leafDepth) {
      throw callError(
        "INVALID_ARGUMENT",
        `Encountered list at unexpected level: ${depth} expected < ${this.#leafDepth}`,
      );
    }
    reader.enterArray();
    let size = 0;
    for (; reader.nextItem(size === 0); size++) this.#read(reader, depth + 1);
    const expected = (this.#dims[depth] ??= size);
    if (size !== expected) {
      throw callError(
        "INVALID_ARGUMENT",
        `Encountered list at unexpected size: ${size} at level: ${depth} expected size: ${expected}`,
      );
    }
  }

  #readScalar(reader: JsonReader, depth: number): void {
    if ((this.#leafDepth ??= depth) !== depth || this.#dims[depth] !== undefined) {
      throw callError("INVALID_ARGUMENT", `Expecting tensor size: a list at level ${depth}, but got a single value`);
    }
    const start = reader.position;
    switch (this.#dtype) {
      case "float":
      case "double":
        if (reader.peek() !== "number") throw this.#wrongType(reader, start);
        this.#push(this.#dtype === "float" ? reader.readFloat() : reader.readDouble());
        break;
      case "string":
        this.#strings.push(this.#readBytes(reader, start));
        break;
      case "bool":
        this.#push(this.#readBool(reader, start));
        break;
      default:
        this.#push(this.#readInteger(reader, start));
    }
  }

  #push(value: number | bigint): void {
    const array = this.#numbers as Float64Array;
    if (this.#count === array.length) {
      const larger = layoutOf(this.#dtype).allocate?.(2 * array.length) as Float64Array;
      larger.set(array);
      this.#numbers = larger;
    }
    (this.#numbers as Float64Array)[this.#count++] = value as number;
  }

  #readBool(reader: JsonReader, start: number): number {
    const kind = reader.peek();
    if (kind !== "true" && kind !== "false") throw this.#wrongType(reader, start);
    reader.readWord(kind);
    return kind === "true" ? 1 : 0;
  }

  #readInteger(reader: JsonReader, start: number): number | bigint {
    if (reader.peek() !== "number") throw this.#wrongType(reader, start);
    const range = INTEGER_RANGE[this.#dtype];
    const short = this.#holdsBigInts ? undefined : reader.readShortInteger();
    if (short !== undefined) {
      if (range === undefined || short < range[0] || short > range[1]) throw this.#wrongType(reader, start, true);
      return short;
    }
    const { text, isInteger } = reader.readNumber();
    if (!isInteger || range === undefined || text.length > 20) throw this.#wrongType(reader, start, true);
    const value = BigInt(text);
    if (value < range[0] || value > range[1]) throw this.#wrongType(reader, start, true);
    return this.#holdsBigInts ? value : Number(value);
  }

  get #holdsBigInts(): boolean {
    return this.#dtype === "int64" || this.#dtype === "uint64";
  }

  #readBytes(reader: JsonReader, start: number): Uint8Array {
    const kind = reader.peek();
    if (kind === "string") return utf8(reader.readString());
    const encoded = kind === "object" ? readBase64Object(reader) : undefined;
    if (encoded === undefined) throw this.#wrongType(reader, start, kind === "object");
    const bytes = fromBase64(encoded);
    if (bytes === undefined) throw callError("INVALID_ARGUMENT", "Unable to base64 decode a JSON value");
    return bytes;
  }

  #wrongType(reader: JsonReader, start: number, isRead = false): Error {
    if (!isRead) reader.skipValue();
    return callError(
      "INVALID_ARGUMENT",
      `JSON Value: ${reader.quote(start).trim()} is not of expected type: ${this.#dtype}`,
    );
  }
}

/** Whether the object that comes next is `{"b64": "..."}` and nothing else. The reader stays where it is. */
export function isBase64Object(reader: JsonReader): boolean {
  const start = reader.position;
  const found = readBase64Object(reader) !== undefined;
  reader.seek(start);
  return found;
}

/** The text of `{"b64": "..."}`, `undefined` for any other object, which is then read in part. */
export function readBase64Object(reader: JsonReader): string | undefined {
  reader.enterObject();
  if (reader.nextName(true) !== BASE64_KEY || reader.peek() !== "string") return undefined;
  const text = reader.readString();
  return reader.nextName(false) === undefined ? text : undefined;
}
