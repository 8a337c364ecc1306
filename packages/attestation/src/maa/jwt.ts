import { fromUtf8, utf8 } from "@cloister/encoding";
import { fromBase64 } from "@cloister/encoding/base64";
import { parseStrictJson } from "@cloister/encoding/canonical-json";
import { FieldError, Fields } from "../documents/fields.ts";
import { refusal, type MaaErrorCode } from "../errors.ts";

/** A JSON Web Token as written (RFC 7519 in the compact form of RFC 7515): nothing in it is verified. */
export interface Jwt {
  readonly algorithm: JwtAlgorithm;
  readonly keyId: string;
  readonly payload: Fields;
  /** What the signature is over. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
}

/** The two algorithms that are taken. There is no "none" and nothing with shared keys. */
export type JwtAlgorithm = "RS256" | "ES256";

const MAX_TOKEN_LENGTH = 64 * 1024;

/**
 * Reads a token strictly. The header may name where keys are (jku, x5u) or bring one along (jwk, x5c): none of that is looked
 * at, keys come from the configured service only. Throws `AttestationError` MAA_TOKEN_MALFORMED or MAA_ALGORITHM_NOT_ALLOWED.
 */
export function parseJwt(token: string): Jwt {
  const parts = token.length > MAX_TOKEN_LENGTH ? [] : token.split(".");
  const [header = "", payload = "", signature = ""] = parts;
  const signatureBytes = fromBase64Url(signature);
  if (parts.length !== 3 || signatureBytes === undefined) throw refusal("MAA_TOKEN_MALFORMED");
  const { algorithm, keyId } = readHeader(parsePart(header));
  return {
    algorithm,
    keyId,
    payload: parsePart(payload),
    signed: utf8(`${header}.${payload}`),
    signature: signatureBytes,
  };
}

/** Bytes of canonical base64url without padding (RFC 4648, section 5); `undefined` for anything else. */
export function fromBase64Url(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return undefined;
  const padding = "=".repeat((4 - (text.length % 4)) % 4);
  return fromBase64(`${text.replaceAll("-", "+").replaceAll("_", "/")}${padding}`);
}

function readHeader(header: Fields): Pick<Jwt, "algorithm" | "keyId"> {
  // "crit" names extensions that have to be understood; none is.
  if (header.has("crit")) throw refusal("MAA_TOKEN_MALFORMED");
  const read = <T>(code: MaaErrorCode, member: () => T): T => {
    try {
      return member();
    } catch (error) {
      throw refusal(code, error);
    }
  };
  const keyId = read("MAA_TOKEN_MALFORMED", () => header.string("kid"));
  return { keyId, algorithm: read("MAA_ALGORITHM_NOT_ALLOWED", () => header.word("alg", ["RS256", "ES256"])) };
}

function parsePart(part: string): Fields {
  try {
    const text = fromUtf8(fromBase64Url(part) ?? new Uint8Array());
    if (text === undefined) throw new FieldError("not UTF-8");
    return new Fields(parseStrictJson(text, { maxLength: MAX_TOKEN_LENGTH, allowAnyNumber: true }));
  } catch (error) {
    throw refusal("MAA_TOKEN_MALFORMED", error);
  }
}
