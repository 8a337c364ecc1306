import { createHash, type KeyObject, sign, verify } from "node:crypto";
import { asBuffer, concatBytes, equalBytes, utf8 } from "@cloister/encoding";
import { HASH_BYTES, type TreeHead } from "./merkle.ts";
import { ReleaseLogError, type ReleaseLogErrorCode } from "./release-log-error.ts";

// Checkpoints are signed notes: C2SP tlog-checkpoint over C2SP signed-note, one Ed25519 signature, no extension lines.

const ED25519_TYPE = 1;
const ED25519_RAW_BYTES = 32;
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

function fail(code: ReleaseLogErrorCode, why: string): ReleaseLogError {
  return new ReleaseLogError(code, {
    what: "the checkpoint is not acceptable",
    why,
    remedy: "do not trust what was said to be in this log; compare with a checkpoint kept elsewhere",
  });
}

function rawPublicKey(key: KeyObject): Uint8Array {
  if (key.asymmetricKeyType !== "ed25519") throw fail("LOG_SIGNATURE_INVALID", "the key of a log is an Ed25519 key");
  // The last 32 bytes of an Ed25519 SubjectPublicKeyInfo are the key (RFC 8410, section 4).
  return key.export({ type: "spki", format: "der" }).subarray(-ED25519_RAW_BYTES);
}

function keyHash(origin: string, publicKey: KeyObject): Uint8Array {
  const input = concatBytes(utf8(`${origin}\n`), Uint8Array.of(ED25519_TYPE), rawPublicKey(publicKey));
  return createHash("sha256").update(input).digest().subarray(0, KEY_HASH_BYTES);
}

const base64 = (bytes: Uint8Array): string => asBuffer(bytes).toString("base64");

const noteBody = (checkpoint: Checkpoint): string =>
  `${checkpoint.origin}\n${checkpoint.size}\n${base64(checkpoint.root)}\n`;

/** Signs checkpoints of one log. Keeps what does not change between them. */
export class CheckpointSigner {
  readonly #origin: string;
  readonly #privateKey: KeyObject;
  readonly #keyHash: Uint8Array;

  /** `origin`: letters, digits, `.`, `/`, `_`, `-`. Throws LOG_CHECKPOINT_MALFORMED for another name. */
  constructor(origin: string, privateKey: KeyObject, publicKey: KeyObject) {
    if (!ORIGIN.test(origin))
      throw fail("LOG_CHECKPOINT_MALFORMED", "the name of the log has characters it may not have");
    this.#origin = origin;
    this.#privateKey = privateKey;
    this.#keyHash = keyHash(origin, publicKey);
  }

  /** The signed note. */
  sign(head: TreeHead): string {
    const body = noteBody({ origin: this.#origin, size: head.size, root: head.root });
    const signature = sign(null, Buffer.from(body), this.#privateKey);
    return `${body}\n\u2014 ${this.#origin} ${base64(concatBytes(this.#keyHash, signature))}\n`;
  }
}

/** Reads a checkpoint without looking at its signature. Throws LOG_CHECKPOINT_MALFORMED. */
export function parseCheckpoint(note: string): Checkpoint {
  return splitNote(note).checkpoint;
}

/** Reads a checkpoint and checks that the log `origin` signed it. Throws LOG_CHECKPOINT_MALFORMED or LOG_SIGNATURE_INVALID. */
export function verifyCheckpoint(note: string, expected: { origin?: string; publicKey: KeyObject }): Checkpoint {
  const { checkpoint, keyName, signed } = splitNote(note);
  const origin = expected.origin ?? checkpoint.origin;
  if (checkpoint.origin !== origin || keyName !== origin) throw fail("LOG_SIGNATURE_INVALID", "it is of another log");
  const isOurs = equalBytes(signed.subarray(0, KEY_HASH_BYTES), keyHash(origin, expected.publicKey));
  const body = Buffer.from(noteBody(checkpoint));
  if (!isOurs || !verify(null, body, expected.publicKey, signed.subarray(KEY_HASH_BYTES))) {
    throw fail("LOG_SIGNATURE_INVALID", "its signature is not by the key of the log");
  }
  return checkpoint;
}

function splitNote(note: string): { checkpoint: Checkpoint; keyName: string; signed: Uint8Array } {
  const match = note.length <= MAX_CHECKPOINT_CHARACTERS ? NOTE.exec(note) : null;
  const [, origin = "", sizeText = "", rootText = "", keyName = "", signedText = ""] = match ?? [];
  const size = Number(sizeText);
  const root = Buffer.from(rootText, "base64");
  const signed = Buffer.from(signedText, "base64");
  const isWellFormed =
    match !== null &&
    ORIGIN.test(origin) &&
    Number.isSafeInteger(size) &&
    root.length === HASH_BYTES &&
    base64(root) === rootText &&
    signed.length === KEY_HASH_BYTES + SIGNATURE_BYTES &&
    base64(signed) === signedText;
  if (!isWellFormed) throw fail("LOG_CHECKPOINT_MALFORMED", "it is not a signed note of origin, size and root");
  return { checkpoint: { origin, size, root }, keyName, signed };
}
