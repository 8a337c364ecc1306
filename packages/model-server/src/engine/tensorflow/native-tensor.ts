import type { NumericArray, Tensor } from "@cloister/encoding/tensor";
import { elementCount } from "@cloister/encoding/tensor";
import { layoutOf, layoutOfCode } from "@cloister/encoding/tensor-proto";
import { engineError } from "../failure.ts";
import type { Address, CApi } from "./c-api.ts";

/** Bytes of a TF_TString. (tf_tstring.h) */
const STRING_BYTES = 24;

/** A copy of the tensor in TensorFlow's memory; whoever asks deletes it. @throws EngineError INPUT_INVALID */
export function toNative(api: CApi, alias: string, { dtype, shape, data }: Tensor): Address {
  const layout = layoutOf(dtype);
  const count = elementCount(shape);
  const elementBytes = dtype === "string" ? STRING_BYTES : layout.size;
  const isWhole = data.length === count && (dtype !== "string" || Array.isArray(data));
  if (!isWhole) {
    throw engineError(
      "INPUT_INVALID",
      `the input ${alias} cannot be used`,
      "its data do not fit its dtype and shape",
      "send a tensor as the signature describes it",
    );
  }
  const bytes = count * elementBytes;
  const tensor = api.allocateTensor(layout.code, BigInt64Array.from(shape, BigInt), shape.length, bytes);
  if (tensor === 0) throw outOfMemory();
  if (bytes === 0) return tensor;
  const address = api.tensorData(tensor);
  if (dtype === "string") writeStrings(api, address, data as readonly Uint8Array[]);
  else {
    const array = data as NumericArray;
    new Uint8Array(api.memory(address, bytes)).set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  }
  return tensor;
}

function writeStrings(api: CApi, address: Address, strings: readonly Uint8Array[]): void {
  for (const [index, bytes] of strings.entries()) {
    const at = address + index * STRING_BYTES;
    api.stringInit(at);
    api.stringCopy(at, bytes, bytes.length);
  }
}

/** A copy in our memory. @throws EngineError ENGINE_FAILED for a dtype that no answer can carry */
export function fromNative(api: CApi, tensor: Address): Tensor {
  const layout = layoutOfCode(api.tensorType(tensor));
  if (!layout) {
    throw engineError(
      "ENGINE_FAILED",
      "an output cannot be sent",
      "its dtype is none that answers carry",
      "leave it out",
    );
  }
  const shape = Array.from({ length: api.numDims(tensor) }, (_, axis) => api.dim(tensor, axis));
  const { dtype } = layout;
  const count = elementCount(shape);
  if (dtype === "string") return { dtype, shape, data: readStrings(api, api.tensorData(tensor), count) };
  const bytes = api.tensorByteSize(tensor);
  const copy = bytes === 0 ? new ArrayBuffer(0) : api.memory(api.tensorData(tensor), bytes).slice(0);
  return { dtype, shape, data: layout.view?.(copy, 0, count) ?? [] };
}

function readStrings(api: CApi, address: Address, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => {
    const at = address + index * STRING_BYTES;
    return new Uint8Array(api.memory(api.stringData(at), api.stringSize(at)).slice(0));
  });
}

function outOfMemory(): Error {
  return engineError("ENGINE_FAILED", "a request cannot be held", "the memory is used up", "send smaller requests");
}
