// TensorFlow's checkpoint format V2: an index table (name -> dtype, shape, place, CRC) and data shards.

import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import {
  type BundleEntryProto,
  BundleEntryProtoSchema,
  BundleHeaderProto_Endianness,
  BundleHeaderProtoSchema,
} from "@cloister/encoding/gen/tensorflow/core/protobuf/tensor_bundle_pb";
import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { asBuffer, fromUtf8 } from "@cloister/encoding";
import { fault, type SavedModelError } from "../error.ts";
import type { ModelFiles } from "../model-files.ts";
import { complexPart, type ComplexTensor, complexTensorOf } from "../tensor/decode.ts";
import { DTYPES, dtypeOf, requireDType, viewOf } from "../tensor/dtype.ts";
import { staticShapeOf } from "../tensor/shape.ts";
import { crc32c, maskedCrc32c } from "./crc32c.ts";
import { assembleSlices, cutSlice, sliceKey } from "./slices.ts";
import { decodeStringTensor } from "./string-tensor.ts";
import { readTable } from "./table.ts";

const MAX_SHARDS = 100_000;

/** An open checkpoint: tensors are read, and their CRCs checked, when they are asked for. */
export class TensorBundle {
  readonly #files: ModelFiles;
  readonly #prefix: string;
  readonly #entries = new Map<string, BundleEntryProto>();
  /** Stored slices of partitioned variables, by key in Latin-1. */
  readonly #slices = new Map<string, BundleEntryProto>();
  readonly #shards: number;

  private constructor(files: ModelFiles, prefix: string) {
    this.#files = files;
    this.#prefix = prefix;
    const index = files.get(`${prefix}.index`);
    if (!index) {
      throw fault(
        "FILE_MISSING",
        `the file ${prefix}.index is missing`,
        "the graph restores variables from it",
        "copy the whole model directory",
      );
    }
    let shards: number | undefined;
    for (const { key, value } of readTable(index)) {
      if (key.length === 0) {
        shards = readHeader(value);
        continue;
      }
      const entry = decode(BundleEntryProtoSchema, value);
      if (key[0] === 0) this.#slices.set(latin1(key), entry);
      else this.#entries.set(fromUtf8(key) ?? refuse("a tensor name is not UTF-8"), entry);
    }
    if (shards === undefined) throw malformed("it has no header");
    this.#shards = shards;
  }

  /**
   * Opens `PREFIX.index`; the shards are `PREFIX.data-00000-of-00001` and so on.
   *
   * @throws SavedModelError FILE_MISSING, BUNDLE_MALFORMED, BUNDLE_CHECKSUM, BUNDLE_UNSUPPORTED
   */
  static open(files: ModelFiles, prefix: string): TensorBundle {
    return new TensorBundle(files, prefix);
  }

  /** Names of all tensors, in order. */
  names(): string[] {
    return [...this.#entries.keys()];
  }

  /**
   * A tensor by name. Numeric data is a view of the shard where its alignment allows.
   *
   * @throws SavedModelError BUNDLE_TENSOR_MISSING, BUNDLE_TRUNCATED, BUNDLE_CHECKSUM, BUNDLE_MALFORMED, FILE_MISSING
   */
  read(name: string): Tensor {
    const entry = this.#entries.get(name);
    if (!entry) {
      throw fault(
        "BUNDLE_TENSOR_MISSING",
        `the checkpoint has no tensor ${name}`,
        "the graph restores it",
        "export the model again",
      );
    }
    if (entry.slices.length === 0) return this.#readStored(name, entry);
    const dtype = requireDType(entry.dtype, name);
    const shape = staticShapeOf(entry.shape, DTYPES[dtype].bytes);
    const parts = entry.slices.map((slice) => {
      const stored = this.#slices.get(latin1(sliceKey(name, slice)));
      if (!stored) throw malformed(`a slice of ${name} is missing`);
      return { slice, tensor: this.#readStored(name, stored) };
    });
    return assembleSlices(dtype, shape, parts);
  }

  /** A part of a tensor, as a restore op's slice specification says it (`6 4 0,3:-`). Throws like `read`. */
  readSlice(name: string, specification: string): Tensor {
    return cutSlice(this.read(name), specification);
  }

  /** Whether a tensor of that name is there in a dtype that cannot be held here, such as a quantised one. */
  isForeign(name: string): boolean {
    const entry = this.#entries.get(name);
    return entry !== undefined && dtypeOf(entry.dtype) === undefined && complexPart(entry.dtype) === undefined;
  }

  /** The parts of a tensor of complex numbers; `undefined` where the tensor is of others. Throws like `read`. */
  readComplex(name: string): ComplexTensor | undefined {
    const entry = this.#entries.get(name);
    const dtype = entry && complexPart(entry.dtype);
    if (!entry || !dtype) return undefined;
    if (entry.slices.length > 0) throw malformed(`the complex tensor ${name} is partitioned`);
    const shape = staticShapeOf(entry.shape, 2 * DTYPES[dtype].bytes);
    return complexTensorOf(dtype, shape, viewOf(dtype, this.#checked(name, entry, shape, 2 * DTYPES[dtype].bytes)));
  }

  #readStored(name: string, entry: BundleEntryProto): Tensor {
    const dtype = requireDType(entry.dtype, name);
    const { bytes: elementBytes } = DTYPES[dtype];
    const shape = staticShapeOf(entry.shape, elementBytes);
    if (dtype === "string") {
      const content = this.#shardRange(name, entry);
      return { dtype, shape, data: decodeStringTensor(name, content, elementCount(shape), entry.crc32c) };
    }
    return { dtype, shape, data: viewOf(dtype, this.#checked(name, entry, shape, elementBytes)) };
  }

  /** The bytes of a numeric tensor, once their number and CRC are right. */
  #checked(name: string, entry: BundleEntryProto, shape: readonly number[], elementBytes: number): Uint8Array {
    const content = this.#shardRange(name, entry);
    if (content.length !== elementCount(shape) * elementBytes)
      throw malformed(`the size of ${name} does not fit its shape`);
    if (maskedCrc32c(crc32c(content)) !== entry.crc32c) {
      throw fault("BUNDLE_CHECKSUM", `the variable ${name} is damaged`, "its CRC is wrong", "copy the model again");
    }
    return content;
  }

  #shardRange(name: string, entry: BundleEntryProto): Uint8Array {
    const { shardId } = entry;
    if (shardId < 0 || shardId >= this.#shards) throw malformed(`${name} is in a shard that does not exist`);
    const digits = (n: number): string => String(n).padStart(5, "0");
    const path = `${this.#prefix}.data-${digits(shardId)}-of-${digits(this.#shards)}`;
    const shard = this.#files.get(path);
    if (!shard)
      throw fault(
        "FILE_MISSING",
        `the file ${path} is missing`,
        "it holds variables",
        "copy the whole model directory",
      );
    const end = entry.offset + entry.size;
    if (entry.offset < 0n || entry.size < 0n || end > BigInt(shard.length)) {
      throw fault(
        "BUNDLE_TRUNCATED",
        `the file ${path} is too short`,
        `${name} reaches beyond its end`,
        "copy the model again",
      );
    }
    return shard.subarray(Number(entry.offset), Number(end));
  }
}

function readHeader(value: Uint8Array): number {
  const header = decode(BundleHeaderProtoSchema, value);
  if (header.endianness !== BundleHeaderProto_Endianness.LITTLE) {
    throw fault(
      "BUNDLE_UNSUPPORTED",
      "the checkpoint is big-endian",
      "only little-endian ones can be read",
      "export the model on an ordinary machine",
    );
  }
  if (header.numShards < 0 || header.numShards > MAX_SHARDS) throw malformed("its number of shards is out of range");
  return header.numShards;
}

function latin1(bytes: Uint8Array): string {
  return asBuffer(bytes).toString("latin1");
}

function decode<Schema extends DescMessage>(schema: Schema, bytes: Uint8Array): MessageShape<Schema> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw fault(
      "BUNDLE_MALFORMED",
      "the checkpoint index cannot be read",
      "an entry is not a valid message",
      "copy the model again",
      cause,
    );
  }
}

function malformed(why: string): SavedModelError {
  return fault("BUNDLE_MALFORMED", "the checkpoint cannot be read", why, "copy the model again");
}

function refuse(why: string): never {
  throw malformed(why);
}
