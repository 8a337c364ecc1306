import { fromUtf8 } from "@cloister/encoding";
import { callFailed } from "../errors.ts";

/** Strings, so that what is in them is left alone, and the numbers that JSON has no word for. */
const TOKENS = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g;

/**
 * JSON as TensorFlow Serving writes it: NaN and the infinities stand bare, and become texts here. Whole numbers that a double does not
 * hold become bigints. Throws INTERNAL.
 */
export function parseServingJson(bytes: Uint8Array): unknown {
  const text = fromUtf8(bytes);
  try {
    if (text === undefined) throw new SyntaxError("the answer is not UTF-8");
    const isPlain = !/NaN|Infinity/.test(text);
    const quoted = isPlain ? text : text.replaceAll(TOKENS, (token) => (token.startsWith('"') ? token : `"${token}"`));
    return JSON.parse(quoted, /\d{16}/.test(quoted) ? keepDigits : undefined);
  } catch (cause) {
    throw callFailed("INTERNAL", "the server's answer is not JSON", { cause });
  }
}

/** The third argument is the number as it was written (ECMA-262, JSON.parse source text access). */
function keepDigits(_name: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  const isWhole = typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? "");
  return isWhole && source !== undefined ? BigInt(source) : value;
}
