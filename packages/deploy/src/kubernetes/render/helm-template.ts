import { type Condition, Conditional, NumberReference } from "../source.ts";

const REFERENCE = /^\{\{ (\.Values\.[A-Za-z.]+) \}\}$/;

/** Prints an object with references as a Helm template. What it gives for given values equals the object over these values. */
export function helmTemplate(object: object, condition?: Condition): string {
  const body = printMapping(object, 0).join("\n");
  return condition === undefined ? `${body}\n` : `{{- if ${test(condition)} }}\n${body}\n{{- end }}\n`;
}

function printMapping(value: object, depth: number): string[] {
  return Object.entries(value).flatMap(([key, content]: [string, unknown]) =>
    guarded(content, depth, (inner) => printEntry(`${printKey(key)}:`, inner, depth)),
  );
}

function printList(items: readonly unknown[], depth: number): string[] {
  return items.flatMap((item) => guarded(item, depth, (inner) => printItem(inner, depth)));
}

function printEntry(head: string, value: unknown, depth: number): string[] {
  const scalar = printScalar(value);
  if (scalar !== undefined) return [`${indent(depth)}${head} ${scalar}`];
  const lines = Array.isArray(value) ? printList(value, depth + 1) : printMapping(value as object, depth + 1);
  return [`${indent(depth)}${head}`, ...lines];
}

/** A list item that is a mapping begins on the line of its dash. An entry under a condition cannot: it goes on the next lines. */
function printItem(value: unknown, depth: number): string[] {
  const scalar = printScalar(value);
  if (scalar !== undefined) return [`${indent(depth)}- ${scalar}`];
  const lines = Array.isArray(value) ? printList(value, depth + 1) : printMapping(value as object, depth + 1);
  return [`${indent(depth)}-`, ...lines];
}

function guarded(value: unknown, depth: number, print: (inner: unknown) => string[]): string[] {
  if (!(value instanceof Conditional)) return print(value);
  return [
    `${indent(depth)}{{- if ${test(value.condition)} }}`,
    ...guarded(value.content, depth, print),
    `${indent(depth)}{{- end }}`,
  ];
}

function printScalar(value: unknown): string | undefined {
  // Helm reads numbers of a values file as floating point.
  if (value instanceof NumberReference) return `{{ .Values.${value.path} | int64 }}`;
  if (typeof value === "string") return printText(value);
  if (typeof value === "number" || typeof value === "boolean" || value === null) return String(value);
  if (Array.isArray(value) && value.length === 0) return "[]";
  if (typeof value === "object" && Object.keys(value).length === 0) return "{}";
  return undefined;
}

/** A text that is one reference may hold anything; references within a text hold plain characters only (the schema sees to it). */
function printText(text: string): string {
  const [, reference] = REFERENCE.exec(text) ?? [];
  return reference === undefined ? JSON.stringify(text) : `{{ ${reference} | quote }}`;
}

const printKey = (key: string): string => (/^[A-Za-z]+$/.test(key) ? key : JSON.stringify(key));
const indent = (depth: number): string => "  ".repeat(depth);

function test({ path, is }: Condition): string {
  if (is === true) return `.Values.${path}`;
  return `has .Values.${path} (list ${is.map((word) => JSON.stringify(word)).join(" ")})`;
}
