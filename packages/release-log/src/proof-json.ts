import { fromUtf8, utf8 } from "@cloister/encoding";
import { fromBase64, toBase64 } from "@cloister/encoding/base64";
import { canonicalJson } from "@cloister/encoding/canonical-json";
import { MAX_ENTRY_BYTES } from "./entry.ts";
import { proofInvalid } from "./inclusion.ts";
import type { LogProof } from "./log.ts";
import { HASH_BYTES, MAX_PROOF_HASHES } from "./merkle.ts";

const MAX_PROOF_BYTES = 2 * MAX_ENTRY_BYTES;

/** A proof as canonical JSON: the form in which replicas show it. */
export function encodeLogProof({ leafIndex, entry, path, checkpoint }: LogProof): Uint8Array {
  return utf8(canonicalJson({ leafIndex, entry: toBase64(entry), path: path.map(toBase64), checkpoint }));
}

/** Reads what `encodeLogProof` writes; nothing in it is verified. Throws LOG_PROOF_INVALID. */
export function decodeLogProof(bytes: Uint8Array): LogProof {
  const value = bytes.length <= MAX_PROOF_BYTES ? parse(fromUtf8(bytes)) : undefined;
  const { leafIndex, entry, path, checkpoint } = value ?? {};
  const entryBytes = typeof entry === "string" ? fromBase64(entry) : undefined;
  const hashes = Array.isArray(path) && path.length <= MAX_PROOF_HASHES ? path.map(hashOf) : undefined;
  if (
    entryBytes === undefined ||
    hashes?.every((hash) => hash !== undefined) !== true ||
    typeof leafIndex !== "number" ||
    typeof checkpoint !== "string"
  )
    throw proofInvalid("it does not have the form of a proof");
  return { leafIndex, entry: entryBytes, path: hashes, checkpoint };
}

function parse(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "");
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function hashOf(text: unknown): Uint8Array | undefined {
  const hash = typeof text === "string" ? fromBase64(text) : undefined;
  return hash?.length === HASH_BYTES ? hash : undefined;
}
