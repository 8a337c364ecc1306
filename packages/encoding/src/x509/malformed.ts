import { EncodingError } from "../encoding-error.ts";

export function x509Malformed(why: string): EncodingError {
  return new EncodingError("X509_MALFORMED", {
    what: "certificate or revocation list refused",
    why,
    remedy: "ask its issuer for one that keeps to RFC 5280",
  });
}
