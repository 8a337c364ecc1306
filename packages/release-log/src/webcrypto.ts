import type { webcrypto } from "node:crypto";
import { utf8 } from "@cloister/encoding";
import type { LogEntry } from "./entry.ts";
import { provenEntry } from "./inclusion.ts";
import type { LogProof } from "./log.ts";
import { type Checkpoint, checkpointRefused, checkSigner, noteBody, parseNote, signatureInvalid } from "./note.ts";

// Verification for browsers and other run times that have WebCrypto: the same steps and codes as in Node.

export { decodeLogEntry, type LogEntry } from "./entry.ts";
export type { LogProof } from "./log.ts";
export { decodeLogProof } from "./proof-json.ts";
export { ReleaseLogError, type ReleaseLogErrorCode } from "./release-log-error.ts";
export type { Checkpoint } from "./note.ts";

/** Whose log it has to be. */
export interface ExpectedLog {
  readonly origin?: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

const RAW_KEY_BYTES = 32;

/** `verifyCheckpoint` on WebCrypto. Rejects with LOG_CHECKPOINT_MALFORMED or LOG_SIGNATURE_INVALID. */
export async function verifyCheckpointAsync(
  note: string,
  { origin, publicKey }: ExpectedLog,
  subtle: Pick<webcrypto.SubtleCrypto, "importKey" | "verify"> = globalThis.crypto.subtle,
): Promise<Checkpoint> {
  if (publicKey.length !== RAW_KEY_BYTES)
    throw checkpointRefused("LOG_SIGNATURE_INVALID", "the key of a log is an Ed25519 key");
  const parsed = parseNote(note);
  checkSigner(parsed, publicKey, origin);
  const key = await subtle.importKey("raw", publicKey.slice(), "Ed25519", false, ["verify"]);
  const body = utf8(noteBody(parsed.checkpoint));
  if (!(await subtle.verify("Ed25519", key, parsed.signature.slice(), body.slice()))) throw signatureInvalid();
  return parsed.checkpoint;
}

/** `verifyLogProof` with a signature that has to be there. Rejects with the same codes. */
export async function verifyLogProofAsync(
  proof: LogProof,
  expected: ExpectedLog,
): Promise<{ entry: LogEntry; checkpoint: Checkpoint }> {
  const checkpoint = await verifyCheckpointAsync(proof.checkpoint, expected);
  return { entry: provenEntry(proof, checkpoint), checkpoint };
}
