import { type DescEnum, type DescField, type DescMessage, type MessageShape, ScalarType } from "@bufbuild/protobuf";
import { reflect, type ReflectMap, type ReflectMessage } from "@bufbuild/protobuf/reflect";
import { utf8 } from "../bytes.ts";

const NAMED_ESCAPES = new Map([
  [9, "\\t"],
  [10, "\\n"],
  [13, "\\r"],
  [34, '\\"'],
  [39, "\\'"],
  [92, "\\\\"],
]);

/** Writes a message as protobuf text: fields by number, map entries by key, two spaces of indentation, ASCII only. */
export function writeTextFormat<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): string {
  return fieldLines(reflect(schema, message))
    .map((line) => `${line}\n`)
    .join("");
}

function fieldLines(message: ReflectMessage): string[] {
  return message.sortedFields.filter((field) => message.isSet(field)).flatMap((field) => oneField(message, field));
}

function oneField(message: ReflectMessage, field: DescField): string[] {
  const { name } = field;
  switch (field.fieldKind) {
    case "message":
      return block(name, fieldLines(message.get(field)));
    case "enum":
      return [`${name}: ${enumText(field.enum, message.get(field))}`];
    case "scalar":
      return [`${name}: ${scalarText(field.scalar, message.get(field))}`];
    case "list":
      return [...message.get(field)].flatMap((item) => valueLines(name, field, item));
    case "map":
      return mapLines(name, field, message.get(field));
    default:
      throw new TypeError("not a field");
  }
}

function mapLines(name: string, field: Extract<DescField, { fieldKind: "map" }>, map: ReflectMap): string[] {
  return [...map]
    .map(([key, value]) => ({ key: scalarText(field.mapKey, key), value }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1))
    .flatMap(({ key, value }) => block(name, [`key: ${key}`, ...valueLines("value", field, value)]));
}

/** An item of a list, or the value of a map entry. */
function valueLines(name: string, field: Extract<DescField, { fieldKind: "list" | "map" }>, value: unknown): string[] {
  if (field.message !== undefined) return block(name, fieldLines(value as ReflectMessage));
  if (field.enum !== undefined) return [`${name}: ${enumText(field.enum, value as number)}`];
  return [`${name}: ${scalarText(field.scalar, value)}`];
}

function block(name: string, lines: readonly string[]): string[] {
  return [`${name} {`, ...lines.map((line) => `  ${line}`), "}"];
}

/** A number that the enum does not name is kept as a number. */
function enumText(desc: DescEnum, value: number): string {
  return desc.value[value]?.name ?? String(value);
}

function scalarText(type: ScalarType, value: unknown): string {
  if (type === ScalarType.STRING) return quoted(utf8(String(value)));
  if (type === ScalarType.BYTES) return quoted(value as Uint8Array);
  if (Object.is(value, -0)) return "-0";
  return String(value).replace("Infinity", "inf").replace("NaN", "nan");
}

function quoted(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const isPlain = byte >= 0x20 && byte <= 0x7e;
    text +=
      NAMED_ESCAPES.get(byte) ?? (isPlain ? String.fromCodePoint(byte) : `\\${byte.toString(8).padStart(3, "0")}`);
  }
  return `"${text}"`;
}
