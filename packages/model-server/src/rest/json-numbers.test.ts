import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@cloister/encoding";
import { formatDouble, formatFloat } from "./json-numbers.ts";
import { JsonReader } from "./json-reader.ts";

const COUNT = 20_000;

/** The same numbers in each run. (Mulberry32) */
function randomBits(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

const bits = new DataView(new ArrayBuffer(8));

/** Any float of 32 bits but the special ones. */
function floatOf(next: () => number): number {
  for (;;) {
    bits.setUint32(0, next());
    if (Number.isFinite(bits.getFloat32(0))) return bits.getFloat32(0);
  }
}

/** C's `%.*g`, by its definition alone. */
function general(value: number, digits: number): string {
  const [mantissa = "", exponentText = ""] = value.toExponential(digits - 1).split("e");
  const exponent = Number(exponentText);
  const strip = (text: string): string => (text.includes(".") ? text.replace(/\.?0+$/, "") : text);
  if (exponent < -4 || exponent >= digits) {
    return `${strip(mantissa)}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const plain = strip(value.toFixed(digits - 1 - exponent));
  return plain.includes(".") ? plain : `${plain}.0`;
}

function expected(value: number, maxDigits: number, round: (value: number) => number): string {
  const short = general(value, 6);
  return round(Number(short)) === value ? short : general(value, maxDigits);
}

test("floats and doubles are written as C writes them, of every size and next to powers of ten", () => {
  const next = randomBits(1);
  const near = [1e-5, 1e-4, 1e-3, 0.1, 1, 10, 1e5, 1e6, 1e9, 1e17].flatMap((power) =>
    [power, power * 0.999999, power * 1.000001, power * 0.9999999999, power * 1.5, power / 3].flatMap((one) => [
      one,
      -one,
    ]),
  );
  const floats = [...near.map(Math.fround), ...Array.from({ length: COUNT }, () => floatOf(next))];
  for (const value of floats) assert.equal(formatFloat(value), expected(value, 9, Math.fround));
  const mild = Array.from({ length: COUNT }, () => Math.fround((next() / 2 ** 32 - 0.5) * 10 ** (next() % 8)));
  for (const value of mild) assert.equal(formatFloat(value), expected(value, 9, Math.fround));
  const doubles = [...near, ...mild.map((value) => value / 3), ...mild];
  for (const value of doubles) assert.equal(formatDouble(value), expected(value, 17, Number));
});

test("a number of any length is read as the double, and as the float, that is nearest to it", () => {
  const next = randomBits(2);
  const texts: string[] = [];
  for (let count = 0; count < COUNT; count++) {
    const value = floatOf(next);
    bits.setFloat32(0, value);
    bits.setUint32(0, bits.getUint32(0) ^ 1);
    // Halfway to a neighbour, where the last digit decides.
    const middle = (value + bits.getFloat32(0)) / 2;
    for (const each of [value, middle]) texts.push(String(each), each.toExponential(20), each.toPrecision(17));
    const digits = `${next()}${next()}${next()}`.slice(0, 1 + (next() % 30));
    texts.push(`-1.${digits}`, `0.000${digits}e-7`, `7${digits}.${digits}`, `1${digits}e-12`);
  }
  for (const text of texts.filter((one) => Number.isFinite(Number(one)))) {
    assert.equal(new JsonReader(utf8(text)).readDouble(), Number(text), text);
    assert.equal(Math.fround(new JsonReader(utf8(text)).readFloat()), Math.fround(Number(text)), text);
  }
});

test("short integers are told from other numbers, which are left where they are", () => {
  const read = (text: string): number | undefined => new JsonReader(utf8(text)).readShortInteger();
  assert.deepEqual(["0", "-7", "255,", "123456789012345]"].map(read), [0, -7, 255, 123456789012345]);
  for (const other of ["1.0", "1e3", "1E3", "01", "-", "NaN", "-Infinity", "1234567890123456"]) {
    const reader = new JsonReader(utf8(other));
    assert.equal(reader.readShortInteger(), undefined, other);
    assert.equal(reader.position, 0);
  }
});
