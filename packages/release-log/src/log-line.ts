import { fromUtf8, utf8 } from "@cloister/encoding";
import { MAX_ENTRY_BYTES } from "./entry.ts";

// A log file is lines of JSON: an object is an entry (its bytes are the Merkle leaf), a string is a checkpoint that covers
// every entry above it. What stands below the last checkpoint was never acknowledged.

export const NEWLINE = 0x0a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const QUOTE = 0x22;
/** A longer line is damage; it bounds what a reader keeps in memory. */
export const MAX_LINE_BYTES = MAX_ENTRY_BYTES + 1;

export type LogLine =
  | { readonly kind: "entry"; readonly leaf: Uint8Array }
  | { readonly kind: "checkpoint"; readonly note: string }
  | { readonly kind: "damaged" };

/** The line of a checkpoint, with its newline. */
export function checkpointLine(note: string): Uint8Array {
  return utf8(`${JSON.stringify(note)}\n`);
}

/** Tells what a line (without its newline) is. An entry's content is not looked at: its hash decides. */
export function classifyLine(line: Uint8Array): LogLine {
  const first = line[0];
  const last = line[line.length - 1];
  if (line.length > MAX_LINE_BYTES) return { kind: "damaged" };
  if (first === OPEN_BRACE && last === CLOSE_BRACE) return { kind: "entry", leaf: line };
  if (first !== QUOTE || last !== QUOTE) return { kind: "damaged" };
  const note = parseString(fromUtf8(line));
  return note === undefined ? { kind: "damaged" } : { kind: "checkpoint", note };
}

function parseString(text: string | undefined): string | undefined {
  try {
    const value: unknown = JSON.parse(text ?? "");
    // One form only, so that a checkpoint has one line.
    return typeof value === "string" && JSON.stringify(value) === text ? value : undefined;
  } catch {
    return undefined;
  }
}
