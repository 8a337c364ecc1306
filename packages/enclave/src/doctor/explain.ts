import { explain, isAttestationCode } from "@cloister/attestation";
import { ERROR_NUMBERS, type ErrorNumber } from "./error-numbers.ts";

/** One meaning of what was asked about. A number can have several: 30 is one of AESM's and nothing else's, 404 one of PCCS's. */
export interface Meaning {
  readonly source: ErrorNumber["source"] | "cloister";
  readonly name: string;
  /** As people search for it: hexadecimal beside decimal. */
  readonly number?: string;
  readonly cause: string;
  readonly remedy: string;
}

/**
 * What an error number or name means: decimal, hexadecimal with 0x, negative, in any case, or a code of this project's
 * attestation. Nothing where it is not known.
 */
export function explainError(asked: string): readonly Meaning[] {
  const text = asked.trim().toUpperCase();
  if (isAttestationCode(text)) {
    const { what, why, remedy } = explain(text);
    return [{ source: "cloister", name: text, cause: `${what}: ${why}`, remedy }];
  }
  const number = readNumber(text);
  return ERROR_NUMBERS.filter((known) => known.name === text || (number !== undefined && known.number === number)).map(
    meaning,
  );
}

function meaning({ source, name, number, cause, remedy }: ErrorNumber): Meaning {
  return { source, name, ...(number !== undefined && { number: numberText(number) }), cause, remedy };
}

function readNumber(text: string): number | undefined {
  const [, sign = "", hex, decimal] = /^(-?)(?:0X([0-9A-F]{1,8})|(\d{1,10}))$/.exec(text) ?? [];
  if (hex === undefined && decimal === undefined) return undefined;
  const size = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
  return sign === "-" ? -size : size;
}

function numberText(number: number): string {
  const hex = `${number < 0 ? "-" : ""}0x${Math.abs(number).toString(16)}`;
  return Math.abs(number) < 0x1000 && number > 0 ? String(number) : `${hex} (${number})`;
}
