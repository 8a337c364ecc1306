/** Names as the reader of a form found them; what has the wrong type is left out. */
export type QcnlValues = Readonly<Record<string, string | number | boolean>>;

/** Names of the old form. Numbers are decimal; of booleans only the two spellings of false count as false. */
const TYPES: Readonly<Record<string, "string" | "number" | "boolean">> = {
  PCCS_URL: "string",
  USE_SECURE_CERT: "boolean",
  COLLATERAL_SERVICE: "string",
  PCCS_API_VERSION: "string",
  RETRY_TIMES: "number",
  RETRY_DELAY: "number",
  LOCAL_PCK_URL: "string",
  PCK_CACHE_EXPIRE_HOURS: "number",
  VERIFY_COLLATERAL_CACHE_EXPIRE_HOURS: "number",
  LOCAL_CACHE_ONLY: "boolean",
};

/** Lines of NAME=value: all white space is dropped, "#" begins a comment line, the last of equal names counts. */
export function readLineForm(text: string): QcnlValues {
  const values: Record<string, string | number | boolean> = {};
  for (const line of text.split("\n")) {
    const [, name = "", value = ""] = /^([A-Z_]+)=(.+)$/.exec(line.replaceAll(/\s+/g, "")) ?? [];
    const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
    if (type === "string") values[name.toLowerCase()] = value;
    if (type === "number" && /^\d{1,9}$/.test(value)) values[name.toLowerCase()] = Number(value);
    if (type === "boolean") values[name.toLowerCase()] = readBoolean(name, value);
  }
  return values;
}

function readBoolean(name: string, value: string): boolean {
  const isFalse = value === "FALSE" || value === "false";
  // The library asks for "not false" in one place and for "true" in the other.
  return name === "USE_SECURE_CERT" ? !isFalse : value === "TRUE" || value === "true";
}
