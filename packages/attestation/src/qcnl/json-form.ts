import { parseStrictJson } from "@cloister/encoding/canonical-json";
import { refusal } from "../errors.ts";
import type { QcnlValues } from "./line-form.ts";

const MAX_DEPTH = 8;

/**
 * JSON with comments (`//` to the end of the line, and between slash-star and star-slash). Names are case-sensitive; members
 * that are no string, number or boolean are left out. Throws `AttestationError` QCNL_MALFORMED.
 */
export function readJsonForm(text: string): QcnlValues {
  try {
    const value = parseStrictJson(withoutComments(text), { maxDepth: MAX_DEPTH, allowAnyNumber: true });
    return Object.fromEntries(
      Object.entries(value as object).filter((entry): entry is [string, string | number | boolean] => {
        return ["string", "number", "boolean"].includes(typeof entry[1]);
      }),
    );
  } catch (error) {
    throw refusal("QCNL_MALFORMED", error);
  }
}

/** Strings come first in the pattern, so that "//" in an address is no comment. An open comment stays, and is refused. */
function withoutComments(text: string): string {
  return text.replaceAll(
    /("(?:[^"\\\n]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g,
    (_match, string?: string) => string ?? " ",
  );
}
