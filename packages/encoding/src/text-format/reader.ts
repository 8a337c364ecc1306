import type { DescField, DescMessage, MessageShape } from "@bufbuild/protobuf";
import { reflect, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { malformedText, TextLexer } from "./lexer.ts";
import { readEnum, readScalar, type TextScalar } from "./values.ts";

const MAX_TEXT_LENGTH = 4 * 1024 * 1024;
const MAX_DEPTH = 32;

type Of<Kind extends DescField["fieldKind"]> = Extract<DescField, { fieldKind: Kind }>;

/**
 * Reads protobuf's text format into a message, as strictly as the C++ parser that TensorFlow Serving uses: an unknown field,
 * a second value for a field that holds one, and a second member of a oneof are errors. Extensions and expanded Any values
 * are refused. Throws TEXT_FORMAT_MALFORMED.
 */
export function readTextFormat<Desc extends DescMessage>(schema: Desc, text: string): MessageShape<Desc> {
  if (text.length > MAX_TEXT_LENGTH) throw malformedText(1, "too many characters");
  const lexer = new TextLexer(text);
  const message = reflect(schema);
  readFields(lexer, message, "", 0);
  return message.message as MessageShape<Desc>;
}

/** Reads fields up to the closing symbol, or to the end of the text where `close` is empty. */
function readFields(lexer: TextLexer, message: ReflectMessage, close: string, depth: number): void {
  if (depth > MAX_DEPTH) throw malformedText(lexer.current.line, "messages nested too deep");
  const seen = new Set<DescField>();
  while (!atClose(lexer, close)) {
    const name = lexer.take();
    const field = name.kind === "word" ? message.desc.fields.find((one) => one.name === name.text) : undefined;
    if (field === undefined) throw malformedText(name.line, "a field that the message does not have");
    if (field.fieldKind !== "list" && field.fieldKind !== "map") {
      if (seen.has(field)) throw malformedText(name.line, "a second value for a field that holds one");
      if (field.oneof?.fields.some((member) => seen.has(member)) === true) {
        throw malformedText(name.line, "a second member of a oneof");
      }
    }
    seen.add(field);
    readField(lexer, message, field, depth);
    if (!lexer.takeSymbol(",")) lexer.takeSymbol(";");
  }
}

function atClose(lexer: TextLexer, close: string): boolean {
  if (close === "") return lexer.current.kind === "end";
  if (lexer.current.kind === "end") throw malformedText(lexer.current.line, "a message that is not closed");
  return lexer.takeSymbol(close);
}

function readField(lexer: TextLexer, message: ReflectMessage, field: DescField, depth: number): void {
  const { line } = lexer.current;
  const hasColon = lexer.takeSymbol(":");
  const isMessage =
    field.fieldKind === "message" ||
    field.fieldKind === "map" ||
    (field.fieldKind === "list" && field.listKind === "message");
  if (!hasColon && !isMessage) throw malformedText(line, "no colon before a value");
  switch (field.fieldKind) {
    case "list":
      readMany(lexer, () => message.get(field).add(readItem(lexer, field, depth)));
      break;
    case "map":
      readMany(lexer, () => readMapEntry(lexer, message, field, depth));
      break;
    case "message":
      message.set(field, readMessage(lexer, field.message, depth));
      break;
    case "enum":
      message.set(field, readEnum(lexer, field.enum));
      break;
    case "scalar":
      message.set(field, readScalar(lexer, field.scalar));
      break;
  }
}

/** One value, or a list in brackets. */
function readMany(lexer: TextLexer, readOne: () => void): void {
  if (!lexer.takeSymbol("[")) {
    readOne();
    return;
  }
  if (lexer.takeSymbol("]")) return;
  do readOne();
  while (lexer.takeSymbol(","));
  if (!lexer.takeSymbol("]")) throw malformedText(lexer.current.line, "a list that is not closed");
}

function readItem(lexer: TextLexer, field: Of<"list">, depth: number): TextScalar | ReflectMessage {
  if (field.listKind === "message") return readMessage(lexer, field.message, depth);
  return field.listKind === "enum" ? readEnum(lexer, field.enum) : readScalar(lexer, field.scalar);
}

function readMessage(lexer: TextLexer, desc: DescMessage, depth: number): ReflectMessage {
  const nested = reflect(desc);
  readFields(lexer, nested, openMessage(lexer), depth + 1);
  return nested;
}

/** Takes the opening symbol; the result is the closing one. */
function openMessage(lexer: TextLexer): string {
  if (lexer.takeSymbol("{")) return "}";
  if (lexer.takeSymbol("<")) return ">";
  throw malformedText(lexer.current.line, "no message where one belongs");
}

/** A map entry is a message with the fields `key` and `value`; each may be absent. */
function readMapEntry(lexer: TextLexer, message: ReflectMessage, field: Of<"map">, depth: number): void {
  const close = openMessage(lexer);
  let key: TextScalar | undefined;
  let value: TextScalar | ReflectMessage | undefined;
  while (!atClose(lexer, close)) {
    const name = lexer.take();
    const word = name.kind === "word" ? name.text : "";
    const hasColon = lexer.takeSymbol(":");
    if (!hasColon && !(word === "value" && field.mapKind === "message"))
      throw malformedText(name.line, "no colon before a value");
    if (word === "key" && key === undefined) key = readScalar(lexer, field.mapKey);
    else if (word === "value" && value === undefined) value = readMapValue(lexer, field, depth);
    else throw malformedText(name.line, "an entry with other fields than one key and one value");
    if (!lexer.takeSymbol(",")) lexer.takeSymbol(";");
  }
  if (key === undefined || value === undefined)
    throw malformedText(lexer.current.line, "an entry without key or value");
  message.get(field).set(key, value);
}

function readMapValue(lexer: TextLexer, field: Of<"map">, depth: number): TextScalar | ReflectMessage {
  if (field.mapKind === "message") return readMessage(lexer, field.message, depth + 1);
  return field.mapKind === "enum" ? readEnum(lexer, field.enum) : readScalar(lexer, field.scalar);
}
