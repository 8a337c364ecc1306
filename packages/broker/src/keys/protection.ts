import { randomBytes, scrypt } from "node:crypto";
import { promisify } from "node:util";
import { asBuffer, Secret } from "@cloister/encoding";
import { fromBase64, toBase64 } from "@cloister/encoding/base64";
import { BrokerError } from "../broker-error.ts";

/** 64 MiB and about 0.2 s for each guess of a passphrase. */
const SCRYPT = { N: 2 ** 16, r: 8, p: 1, maxmem: 2 ** 27 };
export const MASTER_BYTES = 64;
const MIN_PASSPHRASE_BYTES = 8;

/** How the master key of a store is had, as its file says in the clear. Nothing in it is secret. */
export type ProtectionHead =
  | { readonly kind: "passphrase"; readonly salt: string }
  | { readonly kind: "vault-transit"; readonly mount: string; readonly key: string; readonly wrapped: string };

/** What a store is encrypted under. A passphrase (from a file, an environment variable or a command), or a vault. */
export interface KeyProtection {
  /** A new master key of 64 bytes, and what has to be kept to have it again. */
  create(): Promise<{ readonly head: ProtectionHead; readonly master: Secret }>;
  /** The master key of a store. Throws KEY_STORE_LOCKED where the head is of another kind, KEY_PROTECTION_UNAVAILABLE. */
  open(head: ProtectionHead): Promise<Secret>;
}

const derive = promisify<Buffer, Uint8Array, number, typeof SCRYPT, Buffer>(scrypt);

/** Stretches a passphrase of at least 8 bytes; slow on purpose. Throws KEY_FORM_MISMATCH for a shorter one. */
export function passphraseProtection(passphrase: Secret): KeyProtection {
  if (passphrase.length < MIN_PASSPHRASE_BYTES) {
    throw new BrokerError("KEY_FORM_MISMATCH", {
      what: "the passphrase was refused",
      why: `it is shorter than ${MIN_PASSPHRASE_BYTES} bytes`,
      remedy: "take a longer one, for example 32 random bytes in base64",
    });
  }
  const stretch = async (salt: Uint8Array): Promise<Secret> => {
    const derived = await derive(asBuffer(passphrase.reveal()), salt, MASTER_BYTES, SCRYPT);
    return new Secret(new Uint8Array(derived), "key store master key");
  };
  return {
    async create() {
      const salt = new Uint8Array(randomBytes(32));
      return { head: { kind: "passphrase", salt: toBase64(salt) }, master: await stretch(salt) };
    },
    open(head) {
      if (head.kind !== "passphrase") throw otherKind(head.kind);
      return stretch(fromBase64(head.salt) ?? new Uint8Array());
    },
  };
}

export function otherKind(kind: ProtectionHead["kind"]): BrokerError {
  return new BrokerError("KEY_STORE_LOCKED", {
    what: "the key store was not opened",
    why: `its master key is kept by other means (${kind})`,
    remedy: "open it as it was made",
  });
}
