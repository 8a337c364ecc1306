import { concatBytes, equalBytes, utf8 } from "@cloister/encoding";
import { fromBase64, toBase64 } from "@cloister/encoding/base64";
import { sha256 } from "@cloister/encoding/sha256";
import { HASH_BYTES, type TreeHead } from "./merkle.ts";
import { ReleaseLogError, type ReleaseLogErrorCode } from "./release-log-error.ts";

// Checkpoints are signed notes: C2SP tlog-checkpoint over C2SP signed-note, one Ed25519 signature, no extension lines. This is
// their text; who signs and verifies is in checkpoint.ts (Node) and webcrypto.ts (browsers).

const ED25519_TYPE = 1;
const SIGNATURE_BYTES = 64;
const KEY_HASH_BYTES = 4;
const MAX_CHECKPOINT_CHARACTERS = 1024;
/** The name of a log: what a signed-note key name may hold, and nothing that needs escaping. */
const ORIGIN = /^[A-Za-z0-9][A-Za-z0-9./_-]{0,127}$/;
const NOTE = /^([^\n]+)\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/]{43}=)\n\n\u2014 ([^\n ]+) ([A-Za-z0-9+/]+=*)\n$/;

export interface Checkpoint extends TreeHead {
  /** Name of the log; also the name of its key. */
  readonly origin: string;
}

/** A note with its signature, neither of which is verified. */
export interface SignedNote {
  readonly checkpoint: Checkpoint;
  readonly keyName: string;
  /** First bytes of the hash of the key that is said to have signed. */
  readonly keyHash: Uint8Array;
  readonly signature: Uint8Array;
}

export function checkpointRefused(code: ReleaseLogErrorCode, why: string): ReleaseLogError {
  return new ReleaseLogError(code, {
    what: "the checkpoint is not acceptable",
    why,
    remedy: "do not trust what was said to be in this log; compare with a checkpoint kept elsewhere",
  });
}

/** Throws LOG_CHECKPOINT_MALFORMED where a log may not have that name. */
export function checkOrigin(origin: string): void {
  if (!ORIGIN.test(origin))
    throw checkpointRefused("LOG_CHECKPOINT_MALFORMED", "the name of the log has characters it may not have");
}

/** What stands in a note for the key of the log `origin`: an Ed25519 key, 32 bytes. (C2SP signed-note) */
export function noteKeyHash(origin: string, rawPublicKey: Uint8Array): Uint8Array {
  return sha256(concatBytes(utf8(`${origin}\n`), Uint8Array.of(ED25519_TYPE), rawPublicKey)).subarray(
    0,
    KEY_HASH_BYTES,
  );
}

/** The signed part of a note. */
export function noteBody({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** The whole note: body, empty line, signature line. */
export function writeNote(body: string, origin: string, keyHash: Uint8Array, signature: Uint8Array): string {
  return `${body}\n\u2014 ${origin} ${toBase64(concatBytes(keyHash, signature))}\n`;
}

/** Reads a note. Throws LOG_CHECKPOINT_MALFORMED. */
export function parseNote(note: string): SignedNote {
  const match = note.length <= MAX_CHECKPOINT_CHARACTERS ? NOTE.exec(note) : null;
  const [, origin = "", sizeText = "", rootText = "", keyName = "", signedText = ""] = match ?? [];
  const size = Number(sizeText);
  const root = fromBase64(rootText);
  const signed = fromBase64(signedText);
  const isWellFormed =
    match !== null &&
    ORIGIN.test(origin) &&
    Number.isSafeInteger(size) &&
    root?.length === HASH_BYTES &&
    signed?.length === KEY_HASH_BYTES + SIGNATURE_BYTES;
  if (!isWellFormed)
    throw checkpointRefused("LOG_CHECKPOINT_MALFORMED", "it is not a signed note of origin, size and root");
  const checkpoint = { origin, size, root };
  return {
    checkpoint,
    keyName,
    keyHash: signed.subarray(0, KEY_HASH_BYTES),
    signature: signed.subarray(KEY_HASH_BYTES),
  };
}

/** Throws LOG_SIGNATURE_INVALID where the note names another log, or another key than this one of 32 bytes. */
export function checkSigner(note: SignedNote, rawPublicKey: Uint8Array, expectedOrigin: string | undefined): void {
  const { checkpoint, keyName, keyHash } = note;
  const origin = expectedOrigin ?? checkpoint.origin;
  if (checkpoint.origin !== origin || keyName !== origin) throw otherName(checkpoint.origin, origin);
  if (!equalBytes(keyHash, noteKeyHash(origin, rawPublicKey))) throw signatureInvalid();
}

/** Both names are made of the characters that a log's name may have. */
function otherName(madeAs: string, expected: string): ReleaseLogError {
  return new ReleaseLogError(
    "LOG_SIGNATURE_INVALID",
    {
      what: "the checkpoint is not acceptable",
      why: `it is of the log ${madeAs}, not of ${expected}`,
      remedy: "give the name that the log was made with, or the log of that name",
    },
    { madeAs },
  );
}

export function signatureInvalid(): ReleaseLogError {
  return checkpointRefused("LOG_SIGNATURE_INVALID", "its signature is not by the key of the log");
}
