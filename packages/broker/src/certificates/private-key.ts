import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { inspect } from "node:util";
import { asBuffer, Secret } from "@cloister/encoding";

const REDACTED = "[private key]";

/** P-256 unless a peer needs RSA. */
export type PrivateKeyType = "p256" | "p384" | "rsa3072";

/**
 * A private key of a certificate. It cannot be printed, serialised or interpolated; `keyObject()` is for signing and
 * `toPem()` for the file or TLS context that needs it.
 */
export class PrivateKey {
  readonly #key: KeyObject;
  readonly publicKey: KeyObject;

  constructor(key: KeyObject) {
    this.#key = key;
    this.publicKey = createPublicKey(key);
  }

  keyObject(): KeyObject {
    return this.#key;
  }

  /** PKCS#8 PEM, not encrypted: it goes into a TLS context, a protected file or a key store, never onto a terminal. */
  toPem(): Secret {
    const pem = this.#key.export({ type: "pkcs8", format: "pem" });
    return new Secret(new Uint8Array(Buffer.from(pem)), "private key");
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

export function generatePrivateKey(type: PrivateKeyType = "p256"): PrivateKey {
  if (type === "rsa3072") return new PrivateKey(generateKeyPairSync("rsa", { modulusLength: 3072 }).privateKey);
  const namedCurve = type === "p384" ? "P-384" : "P-256";
  return new PrivateKey(generateKeyPairSync("ec", { namedCurve }).privateKey);
}

/** The key of a PKCS#8 PEM as `toPem()` writes it. Throws what `node:crypto` throws for any other text. */
export function readPrivateKey(pem: Secret): PrivateKey {
  return new PrivateKey(createPrivateKey({ key: asBuffer(pem.reveal()), format: "pem", type: "pkcs8" }));
}
