/** The shortest text that gives a float (of 32 bits) back, of 6 or 9 significant digits, as TensorFlow Serving writes it. */
export function formatFloat(value: number): string {
  return formatWith(value, FLOAT);
}

/** The same for a double: 6 or 17 digits. */
export function formatDouble(value: number): string {
  return formatWith(value, DOUBLE);
}

interface NumberFormat {
  readonly maxDigits: number;
  readonly round: (value: number) => number;
  /** How far a value may be from one of 6 digits that rounds to it, in units of the sixth; with a margin. */
  readonly shortDistance: number;
  /** Values below it have fewer digits. */
  readonly minNormal: number;
}

const FLOAT: NumberFormat = { maxDigits: 9, round: Math.fround, shortDistance: 0.25, minNormal: 2 ** -126 };
const DOUBLE: NumberFormat = { maxDigits: 17, round: Number, shortDistance: 0.001, minNormal: 2 ** -1022 };

function formatWith(value: number, format: NumberFormat): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  // Small whole numbers are by far the quickest to write.
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return Object.is(value, -0) ? "-0.0" : `${value}.0`;
  if (mayBeShort(value, format)) {
    const short = general(value, 6);
    if (format.round(Number(short)) === value) return short;
  }
  return general(value, format.maxDigits);
}

/** False where 6 digits are surely too few: writing them to find out takes longer. */
function mayBeShort(value: number, { shortDistance, minNormal }: NumberFormat): boolean {
  const size = Math.abs(value);
  if (size < minNormal) return true;
  const scaled = size * 10 ** (5 - Math.floor(Math.log10(size)));
  // Next to a power of ten the logarithm may be one off.
  if (!(scaled >= 1e5 && scaled < 1e6)) return true;
  return Math.abs(scaled - Math.round(scaled)) <= shortDistance;
}

/** C's `%.*g`: exponents below -4 or from the precision on, no trailing zeros; then `.0` where nothing shows a fraction. */
function general(value: number, digits: number): string {
  const size = Math.abs(value);
  // Here JavaScript writes no exponent, and neither does C.
  if (size >= 1e-3 && size < 1e5) return withFraction(value.toPrecision(digits));
  const [mantissa = "", exponentText = "0"] = value.toExponential(digits - 1).split("e");
  const exponent = Number(exponentText);
  if (exponent < -4 || exponent >= digits) {
    const sign = exponent < 0 ? "-" : "+";
    return `${withoutZeros(mantissa)}e${sign}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  return withFraction(value.toFixed(Math.max(0, digits - 1 - exponent)));
}

function withFraction(text: string): string {
  const plain = withoutZeros(text);
  return plain.includes(".") ? plain : `${plain}.0`;
}

function withoutZeros(text: string): string {
  if (!text.includes(".")) return text;
  let end = text.length;
  while (text[end - 1] === "0") end--;
  return text.slice(0, text[end - 1] === "." ? end - 1 : end);
}
