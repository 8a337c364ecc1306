import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fromHex, Secret } from "@cloister/encoding";

// The recorded files of stock tools in ../../vectors; see the README there. Used by tests only.

export interface VectorRange {
  readonly offset: number;
  readonly length: number;
  readonly sha256: string;
}

export interface Vector {
  readonly name: string;
  readonly file: string;
  readonly format: "1.0" | "2.0";
  readonly plaintext_size: number;
  readonly plaintext_seed: string;
  readonly plaintext_sha256: string;
  readonly encrypted_size: number;
  readonly encrypted_sha256: string;
  readonly bound_path: string;
  readonly key_hex: string;
  readonly sparse?: true;
  readonly nodes?: readonly number[];
  readonly ranges?: readonly VectorRange[];
}

export interface Intermediate {
  readonly name: string;
  readonly kdf_input_hex: string;
  readonly metadata_key_hex: string;
  readonly metadata_tag_hex: string;
  readonly decrypted_header_first_812_sha256: string;
  readonly file_size: number;
  readonly root_mht_key_hex: string;
  readonly root_mht_tag_hex: string;
  readonly data0_key_hex?: string;
  readonly data0_tag_hex?: string;
}

export type MutationStep =
  | { readonly op: "xor"; readonly offset: number; readonly value: number }
  | { readonly op: "set"; readonly offset: number; readonly hex: string }
  | { readonly op: "truncate"; readonly length: number }
  | { readonly op: "append_zeros"; readonly count: number }
  | { readonly op: "swap_nodes"; readonly a: number; readonly b: number }
  | { readonly op: "copy_node"; readonly from?: string; readonly src: number; readonly dst: number }
  | { readonly op: "replace_with"; readonly from: string };

export interface Verdict {
  readonly rc: number;
  readonly output_sha256: string | null;
}

export interface Mutation {
  readonly name: string;
  readonly base: string;
  readonly ops: readonly MutationStep[];
  readonly why: string;
  readonly path: string;
  readonly key_hex: string;
  readonly stock: Verdict;
  readonly master: Verdict;
  readonly mutated_sha256: string;
}

export interface VectorIndex {
  readonly vectors: readonly Vector[];
  readonly intermediates: readonly Intermediate[];
  readonly path_normalisation: { readonly cases: readonly { readonly input: string; readonly output: string }[] };
  readonly negative: { readonly cases: readonly Mutation[] };
}

const root = new URL("../../vectors/", import.meta.url);

export const index = JSON.parse(readFileSync(new URL("index.json", root), "utf8")) as VectorIndex;

export function vector(name: string): Vector {
  const found = index.vectors.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no vector ${name}`);
  return found;
}

export function sealedBytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(vector(name).file, root)));
}

export function vectorKey(hex: string): Secret {
  return new Secret(fromHex(hex) ?? new Uint8Array(), "vector wrap key");
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const plaintexts = new Map<string, Uint8Array>();

/** The whole plaintext of a vector, computed once: a test for each cipher asks for it. Not to be changed. */
export function wholePlaintext({ plaintext_seed: seed, plaintext_size: size }: Vector): Uint8Array {
  const known = plaintexts.get(seed);
  if (known?.length === size) return known;
  const plaintext = vectorPlaintext(seed, 0, size);
  plaintexts.set(seed, plaintext);
  return plaintext;
}

/** The plaintext formula of the index: SHA-256 blocks of "pf-vector:SEED:N", `length` bytes from `offset`. */
export function vectorPlaintext(seed: string, offset: number, length: number): Uint8Array {
  const first = Math.floor(offset / 32);
  const last = Math.ceil((offset + length) / 32);
  const blocks: Buffer[] = [];
  for (let block = first; block < last; block += 1) {
    blocks.push(createHash("sha256").update(`pf-vector:${seed}:${block}`).digest());
  }
  return new Uint8Array(Buffer.concat(blocks)).subarray(offset - first * 32, offset - first * 32 + length);
}

const NODE = 4096;

/** The base file with the recorded steps applied in order. */
export function mutated(mutation: Pick<Mutation, "base" | "ops">): Uint8Array {
  return mutation.ops.reduce(applyStep, sealedBytes(mutation.base));
}

function applyStep(bytes: Uint8Array, step: MutationStep): Uint8Array {
  switch (step.op) {
    case "xor":
      bytes[step.offset] = (bytes[step.offset] ?? 0) ^ step.value;
      return bytes;
    case "set":
      bytes.set(fromHex(step.hex) ?? [], step.offset);
      return bytes;
    case "truncate":
      return bytes.slice(0, step.length);
    case "append_zeros":
      return new Uint8Array(Buffer.concat([bytes, new Uint8Array(step.count)]));
    case "swap_nodes": {
      const a = nodeOf(bytes, step.a).slice();
      bytes.set(nodeOf(bytes, step.b).slice(), step.a * NODE);
      bytes.set(a, step.b * NODE);
      return bytes;
    }
    case "copy_node":
      bytes.set(nodeOf(step.from === undefined ? bytes : sealedBytes(step.from), step.src).slice(), step.dst * NODE);
      return bytes;
    case "replace_with":
    default:
      return sealedBytes(step.from);
  }
}

function nodeOf(bytes: Uint8Array, node: number): Uint8Array {
  return bytes.subarray(node * NODE, (node + 1) * NODE);
}
