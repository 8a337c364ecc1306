// Numbers as C's printf writes them, and back.

import type { DType } from "@cloister/encoding/tensor";
import { refuse } from "./refusal.ts";
import type { Element } from "./elements.ts";

interface Format {
  /** -1 where it is not given. */
  readonly precision: number;
  readonly isScientific: boolean;
  readonly isShortest: boolean;
  readonly width: number;
  readonly fill: string;
}

/** Writes elements of a dtype as TensorFlow's AsString does. */
export function formatter(dtype: DType, format: Format): (value: Element) => string {
  const body = bodyFormatter(dtype, format);
  return (value) => {
    const text = body(value);
    if (format.fill === "-") return text.padEnd(format.width);
    if (format.fill === "0" && text.startsWith("-")) return `-${text.slice(1).padStart(format.width - 1, "0")}`;
    return text.padStart(format.width, format.fill === "0" ? "0" : " ");
  };
}

function bodyFormatter(dtype: DType, { precision, isScientific, isShortest }: Format): (value: Element) => string {
  if (dtype === "bool") return (value) => (value === 0 ? "false" : "true");
  if (dtype !== "float" && dtype !== "double") return String;
  const digits = precision < 0 ? 6 : Math.min(precision, 100);
  return (element) => {
    const value = Number(element);
    if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
    const sign = Object.is(value, -0) ? "-" : "";
    if (isScientific) return sign + exponent(value.toExponential(digits));
    return sign + (isShortest ? shortest(value, digits) : fixed(value, digits));
  };
}

/** JavaScript leaves fixed notation at 1e21. */
function fixed(value: number, digits: number): string {
  if (Math.abs(value) < 1e21) return value.toFixed(digits);
  return `${BigInt(value)}${digits > 0 ? `.${"0".repeat(digits)}` : ""}`;
}

/** %g: six significant digits without trailing zeros, in scientific notation where the exponent is below -4 or beyond them. */
function shortest(value: number, digits: number): string {
  const significant = Math.max(digits, 1);
  const scientific = value.toExponential(significant - 1);
  const power = Number(scientific.slice(scientific.indexOf("e") + 1));
  const trim = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (power >= -4 && power < significant) return trim(value.toFixed(significant - 1 - power));
  const [mantissa = "", rest = ""] = scientific.split("e");
  return exponent(`${trim(mantissa)}e${rest}`);
}

/** C writes exponents with a sign and two digits. */
function exponent(text: string): string {
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

/** The number that a text stands for. @throws HostRefusal */
export function parseNumber(text: string, dtype: DType): Element {
  const trimmed = text.trim();
  const isFloating = dtype === "float" || dtype === "double";
  const named = /^([+-]?)(inf|infinity|nan)$/i.exec(trimmed);
  if (isFloating && named) {
    if (/nan/i.test(trimmed)) return Number.NaN;
    return named[1] === "-" ? -Infinity : Infinity;
  }
  const pattern = isFloating ? /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i : /^-?\d{1,19}$/;
  if (!pattern.test(trimmed)) return refuse("a string is no number");
  if (isFloating) return Number(trimmed);
  const whole = BigInt(trimmed);
  if (BigInt.asIntN(dtype === "int64" ? 64 : 32, whole) !== whole) return refuse("a number is out of range");
  return dtype === "int64" ? whole : Number(whole);
}
