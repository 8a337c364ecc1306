import { createPublicKey, verify, X509Certificate, type KeyObject } from "node:crypto";
import { asBuffer, fromUtf8 } from "@cloister/encoding";
import { fromBase64 } from "@cloister/encoding/base64";
import { parseStrictJson, type JsonValue } from "@cloister/encoding/canonical-json";
import { Fields } from "../documents/fields.ts";
import { refusal } from "../errors.ts";
import type { Jwt, JwtAlgorithm } from "./jwt.ts";

/** A key that the service signs tokens with. */
export interface MaaKey {
  readonly algorithm: JwtAlgorithm;
  readonly publicKey: KeyObject;
  /** Of the certificate that came with it, where one did. */
  readonly validity?: { readonly notBefore: Date; readonly notAfter: Date };
}

/** Published keys by their ids. */
export type MaaKeys = ReadonlyMap<string, MaaKey>;

const MAX_KEYS_LENGTH = 1 << 20;
const MAX_KEYS = 64;
const MIN_RSA_BITS = 2048;

/**
 * Reads a JSON Web Key Set (RFC 7517). A key stands as its members (RSA: n, e; EC: crv, x, y), as the first certificate of
 * x5c, or both, which must then agree. Keys of other kinds are passed over; an id may be there once.
 * Throws `AttestationError` MAA_KEYS_MALFORMED.
 */
export function parseMaaKeys(body: Uint8Array): MaaKeys {
  try {
    const value = parseStrictJson(fromUtf8(body) ?? "", { maxLength: MAX_KEYS_LENGTH, allowAnyNumber: true });
    const entries = new Fields(value).objects("keys");
    const members = (value as { keys: readonly Record<string, JsonValue>[] }).keys;
    if (entries.length > MAX_KEYS) throw refusal("MAA_KEYS_MALFORMED");
    const keys = new Map<string, MaaKey>();
    for (const [index, entry] of entries.entries()) {
      const key = readKey(entry, members[index] ?? {});
      if (key === undefined) continue;
      const id = entry.string("kid");
      if (keys.has(id)) throw refusal("MAA_KEYS_MALFORMED");
      keys.set(id, key);
    }
    return keys;
  } catch (error) {
    throw refusal("MAA_KEYS_MALFORMED", error);
  }
}

/** Whether the key signed the token. A key signs with the algorithm of its type and with no other. */
export function isSignedByKey(token: Jwt, { algorithm, publicKey }: MaaKey): boolean {
  if (algorithm !== token.algorithm) throw refusal("MAA_ALGORITHM_NOT_ALLOWED");
  return verify("sha256", token.signed, { key: publicKey, dsaEncoding: "ieee-p1363" }, token.signature);
}

function readKey(entry: Fields, members: Record<string, JsonValue>): MaaKey | undefined {
  const isForOtherUse = entry.has("use") && entry.string("use") !== "sig";
  if (isForOtherUse || (entry.string("kty") !== "RSA" && entry.string("kty") !== "EC")) return undefined;
  const certificate = readCertificate(members["x5c"]);
  const bare = entry.has("n") || entry.has("x") ? importMembers(entry) : undefined;
  const publicKey = bare ?? certificate?.publicKey;
  if (publicKey === undefined) throw refusal("MAA_KEYS_MALFORMED");
  if (certificate !== undefined && !publicKey.equals(certificate.publicKey)) throw refusal("MAA_KEYS_MALFORMED");
  return {
    algorithm: algorithmOf(publicKey),
    publicKey,
    ...(certificate && {
      validity: { notBefore: new Date(certificate.validFrom), notAfter: new Date(certificate.validTo) },
    }),
  };
}

function importMembers(entry: Fields): KeyObject {
  const names = entry.string("kty") === "RSA" ? ["kty", "n", "e"] : ["kty", "crv", "x", "y"];
  const jwk = Object.fromEntries(names.map((name) => [name, entry.string(name)]));
  return createPublicKey({ key: jwk, format: "jwk" });
}

/** The certificate chain itself proves nothing here: the keys are trusted because the service serves them over TLS. */
function readCertificate(chain: JsonValue | undefined): X509Certificate | undefined {
  if (chain === undefined) return undefined;
  const [first] = Array.isArray(chain) ? (chain as readonly JsonValue[]) : [];
  const der = typeof first === "string" ? fromBase64(first) : undefined;
  if (der === undefined) throw refusal("MAA_KEYS_MALFORMED");
  return new X509Certificate(asBuffer(der));
}

function algorithmOf(key: KeyObject): JwtAlgorithm {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === "rsa" && (details?.modulusLength ?? 0) >= MIN_RSA_BITS) return "RS256";
  if (key.asymmetricKeyType === "ec" && details?.namedCurve === "prime256v1") return "ES256";
  throw refusal("MAA_KEYS_MALFORMED");
}
