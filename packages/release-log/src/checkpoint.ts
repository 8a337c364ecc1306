import { type KeyObject, sign, verify } from "node:crypto";
import { utf8 } from "@cloister/encoding";
import type { TreeHead } from "./merkle.ts";
import {
  type Checkpoint,
  checkOrigin,
  checkpointRefused,
  checkSigner,
  noteBody,
  noteKeyHash,
  parseNote,
  signatureInvalid,
  writeNote,
} from "./note.ts";

export type { Checkpoint } from "./note.ts";

const ED25519_RAW_BYTES = 32;

function rawPublicKey(key: KeyObject): Uint8Array {
  if (key.asymmetricKeyType !== "ed25519")
    throw checkpointRefused("LOG_SIGNATURE_INVALID", "the key of a log is an Ed25519 key");
  // The last 32 bytes of an Ed25519 SubjectPublicKeyInfo are the key (RFC 8410, section 4).
  return key.export({ type: "spki", format: "der" }).subarray(-ED25519_RAW_BYTES);
}

/** Signs checkpoints of one log. Keeps what does not change between them. */
export class CheckpointSigner {
  readonly #origin: string;
  readonly #privateKey: KeyObject;
  readonly #keyHash: Uint8Array;

  /** `origin`: letters, digits, `.`, `/`, `_`, `-`. Throws LOG_CHECKPOINT_MALFORMED for another name. */
  constructor(origin: string, privateKey: KeyObject, publicKey: KeyObject) {
    checkOrigin(origin);
    this.#origin = origin;
    this.#privateKey = privateKey;
    this.#keyHash = noteKeyHash(origin, rawPublicKey(publicKey));
  }

  /** The signed note. */
  sign(head: TreeHead): string {
    const body = noteBody({ origin: this.#origin, size: head.size, root: head.root });
    return writeNote(body, this.#origin, this.#keyHash, sign(null, utf8(body), this.#privateKey));
  }
}

/** Reads a checkpoint without looking at its signature. Throws LOG_CHECKPOINT_MALFORMED. */
export function parseCheckpoint(note: string): Checkpoint {
  return parseNote(note).checkpoint;
}

/** Reads a checkpoint and checks that the log `origin` signed it. Throws LOG_CHECKPOINT_MALFORMED or LOG_SIGNATURE_INVALID. */
export function verifyCheckpoint(note: string, expected: { origin?: string; publicKey: KeyObject }): Checkpoint {
  const parsed = parseNote(note);
  checkSigner(parsed, rawPublicKey(expected.publicKey), expected.origin);
  if (!verify(null, utf8(noteBody(parsed.checkpoint)), expected.publicKey, parsed.signature)) throw signatureInvalid();
  return parsed.checkpoint;
}
