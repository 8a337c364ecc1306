/** The shortest text that gives a float (of 32 bits) back, of 6 or 9 significant digits, as TensorFlow Serving writes it. */
export function formatFloat(value: number): string {
  return formatWith(value, 9, Math.fround);
}

/** The same for a double: 6 or 17 digits. */
export function formatDouble(value: number): string {
  return formatWith(value, 17, Number);
}

function formatWith(value: number, maxDigits: number, round: (value: number) => number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  // Small whole numbers are by far the quickest to write.
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return Object.is(value, -0) ? "-0.0" : `${value}.0`;
  const short = general(value, 6);
  return round(Number(short)) === value ? short : general(value, maxDigits);
}

/** C's `%.*g`: exponents below -4 or from the precision on, no trailing zeros; then `.0` where nothing shows a fraction. */
function general(value: number, digits: number): string {
  const [mantissa = "", exponentText = "0"] = value.toExponential(digits - 1).split("e");
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= digits) {
    const sign = exponent < 0 ? "-" : "+";
    return `${withoutZeros(mantissa)}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const plain = withoutZeros(value.toFixed(Math.max(0, digits - 1 - exponent)));
  return plain.includes(".") ? plain : `${plain}.0`;
}

function withoutZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}
