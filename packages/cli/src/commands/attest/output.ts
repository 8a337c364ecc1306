import type { Detail } from "@cloister/attestation/inspect";
import type { Terminal } from "../../output/terminal.ts";

const LABEL_WIDTH = 24;

/** Details as an indented list. */
export function showDetails(terminal: Terminal, details: { readonly [name: string]: Detail }, depth = 0): void {
  const indent = "  ".repeat(depth);
  for (const [name, value] of Object.entries(details)) {
    if (isRecord(value)) {
      terminal.line(`${indent}${terminal.style("bold", name)}`);
      showDetails(terminal, value, depth + 1);
    } else if (Array.isArray(value) && value.some(isRecord))
      showList(terminal, name, value as readonly Detail[], depth);
    else terminal.line(`${indent}${name.padEnd(Math.max(1, LABEL_WIDTH - indent.length))}${valueText(value)}`);
  }
}

/** How many cases ended how. */
export function showVectorCounts(terminal: Terminal, counts: ReadonlyMap<string, number>): void {
  terminal.line(Array.from(counts, ([verdict, count]) => `${count} ${verdict}`).join(", ") || "no cases");
}

function showList(terminal: Terminal, name: string, list: readonly Detail[], depth: number): void {
  for (const [index, item] of list.entries()) {
    terminal.line(`${"  ".repeat(depth)}${terminal.style("bold", `${name} ${index + 1}`)}`);
    if (isRecord(item)) showDetails(terminal, item, depth + 1);
    else terminal.line(`${"  ".repeat(depth + 1)}${valueText(item)}`);
  }
}

function isRecord(value: Detail): value is { readonly [name: string]: Detail } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function valueText(value: Detail): string {
  if (value === null) return "none";
  if (Array.isArray(value)) return (value as readonly Detail[]).map(valueText).join(" ") || "none";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
