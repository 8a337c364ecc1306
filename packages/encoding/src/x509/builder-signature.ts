import { createHash, sign, type KeyObject } from "node:crypto";
import { bitString, nullValue, oid, sequence } from "../der/writer.ts";
import { EncodingError } from "../encoding-error.ts";

export type SignatureHash = "sha256" | "sha384";

const ECDSA = { sha256: "1.2.840.10045.4.3.2", sha384: "1.2.840.10045.4.3.3" } as const;
const RSA_PKCS1 = { sha256: "1.2.840.113549.1.1.11", sha384: "1.2.840.113549.1.1.12" } as const;
const CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1"]);
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;

/** Whether certificates here may hold or be signed by the key: P-256, P-384, RSA of 2048 to 8192 bits. */
export function isSupportedKey(key: KeyObject): boolean {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === "ec") return CURVES.has(details?.namedCurve ?? "");
  const bits = details?.modulusLength ?? 0;
  return key.asymmetricKeyType === "rsa" && bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS;
}

/** SubjectPublicKeyInfo in DER. Throws `EncodingError` X509_VALUE_NOT_ALLOWED for a private or unsupported key. */
export function subjectPublicKeyInfo(publicKey: KeyObject): Uint8Array {
  if (publicKey.type !== "public" || !isSupportedKey(publicKey)) throw keyNotAllowed();
  return new Uint8Array(publicKey.export({ type: "spki", format: "der" }));
}

/** Key identifier: the first 20 bytes of SHA-256 over the SubjectPublicKeyInfo (RFC 5280, section 4.2.1.2, leaves it open). */
export function keyIdentifier(publicKey: KeyObject): Uint8Array {
  return new Uint8Array(createHash("sha256").update(subjectPublicKeyInfo(publicKey)).digest().subarray(0, 20));
}

/** AlgorithmIdentifier of the signature that `signed()` makes with this key. */
export function signatureAlgorithm(key: KeyObject, hash?: SignatureHash): Uint8Array {
  if (!isSupportedKey(key)) throw keyNotAllowed();
  const digest = hash ?? defaultHash(key);
  return key.asymmetricKeyType === "rsa" ? sequence(oid(RSA_PKCS1[digest]), nullValue()) : sequence(oid(ECDSA[digest]));
}

/** SEQUENCE { toBeSigned, algorithm, BIT STRING signature }: the frame of certificates, CRLs and requests. */
export function signed(toBeSigned: Uint8Array, privateKey: KeyObject, hash?: SignatureHash): Uint8Array {
  const signature = sign(hash ?? defaultHash(privateKey), toBeSigned, { key: privateKey, dsaEncoding: "der" });
  return sequence(toBeSigned, signatureAlgorithm(privateKey, hash), bitString(signature));
}

function defaultHash(key: KeyObject): SignatureHash {
  return key.asymmetricKeyDetails?.namedCurve === "secp384r1" ? "sha384" : "sha256";
}

function keyNotAllowed(): EncodingError {
  return new EncodingError("X509_VALUE_NOT_ALLOWED", {
    what: "key not used for a certificate",
    why: "it is neither P-256 nor P-384 nor RSA of 2048 to 8192 bits",
    remedy: "make a P-256 key",
  });
}
