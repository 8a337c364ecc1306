export { asBuffer, concatBytes, equalBytes, fromHex, fromUtf8, isZero, toHex, utf8 } from "./bytes.ts";
export { CodedError, type Explanation, isCodedError } from "./coded-error.ts";
export { EncodingError, type EncodingErrorCode } from "./encoding-error.ts";
export { Secret } from "./secret.ts";
