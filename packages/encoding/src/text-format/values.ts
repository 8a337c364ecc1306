import { type DescEnum, ScalarType } from "@bufbuild/protobuf";
import { concatBytes, fromUtf8 } from "../bytes.ts";
import { malformedText, type TextLexer } from "./lexer.ts";

/** A value of a scalar or enum field, as reflection takes it. */
export type TextScalar = string | number | bigint | boolean | Uint8Array;

const INTEGER_RANGE: Partial<Record<ScalarType, readonly [bigint, bigint]>> = {};
for (const type of [ScalarType.INT32, ScalarType.SINT32, ScalarType.SFIXED32]) {
  INTEGER_RANGE[type] = [-(2n ** 31n), 2n ** 31n - 1n];
}
for (const type of [ScalarType.INT64, ScalarType.SINT64, ScalarType.SFIXED64]) {
  INTEGER_RANGE[type] = [-(2n ** 63n), 2n ** 63n - 1n];
}
for (const type of [ScalarType.UINT32, ScalarType.FIXED32]) INTEGER_RANGE[type] = [0n, 2n ** 32n - 1n];
for (const type of [ScalarType.UINT64, ScalarType.FIXED64]) INTEGER_RANGE[type] = [0n, 2n ** 64n - 1n];

const BOOLEANS = new Map([
  ["true", true],
  ["True", true],
  ["t", true],
  ["1", true],
  ["false", false],
  ["False", false],
  ["f", false],
  ["0", false],
]);

export function readScalar(lexer: TextLexer, type: ScalarType): TextScalar {
  switch (type) {
    case ScalarType.STRING:
      return readText(lexer);
    case ScalarType.BYTES:
      return readStrings(lexer);
    case ScalarType.BOOL:
      return readBoolean(lexer);
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return readFloat(lexer);
    default:
      return readInteger(lexer, type);
  }
}

/** An enum's value by name or number. */
export function readEnum(lexer: TextLexer, desc: DescEnum): number {
  const { line } = lexer.current;
  if (lexer.current.kind !== "word") return Number(readInteger(lexer, ScalarType.INT32));
  const { text } = lexer.current;
  const value = desc.values.find(({ name }) => name === text);
  if (value === undefined) throw malformedText(line, "a name that the enum does not have");
  lexer.take();
  return value.number;
}

/** One or more strings, which are joined. */
function readStrings(lexer: TextLexer): Uint8Array {
  const parts: Uint8Array[] = [];
  while (lexer.current.kind === "string") {
    parts.push(lexer.current.bytes);
    lexer.take();
  }
  if (parts.length === 0) throw malformedText(lexer.current.line, "no string where one belongs");
  return concatBytes(...parts);
}

function readText(lexer: TextLexer): string {
  const { line } = lexer.current;
  const text = fromUtf8(readStrings(lexer));
  if (text === undefined) throw malformedText(line, "a string that is not UTF-8");
  return text;
}

function readBoolean(lexer: TextLexer): boolean {
  const token = lexer.take();
  const value = token.kind === "word" || token.kind === "number" ? BOOLEANS.get(token.text) : undefined;
  if (value === undefined) throw malformedText(token.line, "neither true nor false where one belongs");
  return value;
}

function readFloat(lexer: TextLexer): number {
  const sign = lexer.takeSymbol("-") ? -1 : 1;
  const token = lexer.take();
  if (token.kind === "word" && /^(?:inf|infinity)$/i.test(token.text)) return sign * Infinity;
  if (token.kind === "word" && /^nan$/i.test(token.text)) return Number.NaN;
  if (token.kind !== "number") throw malformedText(token.line, "no number where one belongs");
  return sign * Number(/^0x/i.test(token.text) ? token.text : token.text.replace(/f$/i, ""));
}

function readInteger(lexer: TextLexer, type: ScalarType): number | bigint {
  const isNegative = lexer.takeSymbol("-");
  const token = lexer.take();
  if (token.kind !== "number" || !/^(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.test(token.text)) {
    throw malformedText(token.line, "no whole number where one belongs");
  }
  const isOctal = /^0[0-7]+$/.test(token.text);
  const magnitude = BigInt(isOctal ? `0o${token.text.slice(1)}` : token.text);
  const value = isNegative ? -magnitude : magnitude;
  const [min, max] = INTEGER_RANGE[type] ?? [0n, 0n];
  if (value < min || value > max) throw malformedText(token.line, "a number out of the field's range");
  return max > 2n ** 32n ? value : Number(value);
}
