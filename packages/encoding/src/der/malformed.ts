import { EncodingError } from "../encoding-error.ts";

export function derMalformed(why: string): EncodingError {
  return new EncodingError("DER_MALFORMED", { what: "DER refused", why, remedy: "ask its issuer for valid DER" });
}
