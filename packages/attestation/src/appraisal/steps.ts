/** Whether a signature verifies. */
export interface VerifyRequest {
  readonly kind: "verify";
  /** ECDSA on P-256: an uncompressed point, 65 bytes. */
  readonly publicKey: Uint8Array;
  /** Hashed with SHA-256. */
  readonly message: Uint8Array;
  /** r then s, 32 bytes each. */
  readonly signature: Uint8Array;
}

/** A question of the appraisal to a cryptographic library. */
export type CryptoRequest = VerifyRequest | { readonly kind: "sha256"; readonly data: Uint8Array };

/** Whether the signature verifies, or the 32 bytes of the digest. */
export type CryptoAnswer = boolean | Uint8Array;

/**
 * A computation that asks for cryptography and is otherwise pure. The same steps run on `node:crypto` (at once) and on
 * WebCrypto (which answers later).
 */
export type Steps<T> = Generator<CryptoRequest, T, CryptoAnswer>;

/** Whether `signature` (r then s) is the P-256 key's over the SHA-256 of `message`. */
export function* verifySignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Steps<boolean> {
  return (yield { kind: "verify", publicKey, message, signature }) === true;
}

export function* sha256(data: Uint8Array): Steps<Uint8Array> {
  const digest = yield { kind: "sha256", data };
  if (!(digest instanceof Uint8Array) || digest.length !== 32) throw new TypeError("the driver gave no SHA-256 digest");
  return digest;
}
