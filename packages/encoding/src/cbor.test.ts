import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { fromHex, toHex, utf8 } from "./bytes.ts";
import { decodeCbor, encodeCbor, type CborValue } from "./cbor.ts";
import { EncodingError } from "./encoding-error.ts";

const decodeHex = (hex: string) => decodeCbor(fromHex(hex) ?? assert.fail("not hex"));

test("values are written in the shortest form of RFC 8949, appendix A", () => {
  const cases: [CborValue, string][] = [
    [0, "00"],
    [23, "17"],
    [24, "1818"],
    [100, "1864"],
    [1000, "1903e8"],
    [1_000_000, "1a000f4240"],
    [1_000_000_000_000, "1b000000e8d4a51000"],
    [-1, "20"],
    [-1000, "3903e7"],
    [false, "f4"],
    [true, "f5"],
    [null, "f6"],
    [Uint8Array.of(1, 2, 3, 4), "4401020304"],
    ["\u6c34", "63e6b0b4"],
    [[1, [2, 3]], "8201820203"],
    [{ tag: 1, value: 1_363_896_240 }, "c11a514b67b0"],
  ];
  for (const [value, hex] of cases) {
    assert.equal(toHex(encodeCbor(value)), hex);
    assert.deepEqual(decodeHex(hex), value);
  }
});

test("map keys are sorted by their encoded bytes", () => {
  const map = new Map<string | number, CborValue>([
    ["b", 2],
    ["aa", 3],
    ["a", 1],
    [10, 0],
  ]);
  assert.equal(toHex(encodeCbor(map)), "a40a0061610161620262616103");
  assert.deepEqual([...(decodeCbor(encodeCbor(map)) as Map<string, number>).keys()], [10, "a", "b", "aa"]);
});

test("a map with a repeated or misplaced key is refused", () => {
  for (const hex of ["a2616101616102", "a2616201616101", "a262616101616202"]) {
    assert.throws(() => decodeHex(hex), { code: "CBOR_NOT_CANONICAL" });
  }
});

test("lengths that are longer than needed are refused", () => {
  for (const hex of ["1817", "1900ff", "1a0000ffff", "1b00000000ffffffff", "580100", "9800", "b800", "d80100"]) {
    assert.throws(() => decodeHex(hex), { code: "CBOR_NOT_CANONICAL" });
  }
});

test("floats, undefined, indefinite lengths and unknown keys are refused", () => {
  for (const hex of ["f90000", "fa00000000", "f7", "f0", "f818", "5fff", "9fff", "bfff", "ff", "1c", "a1f400"]) {
    assert.throws(() => decodeHex(hex), { code: "CBOR_TYPE_NOT_ALLOWED" }, hex);
  }
  assert.throws(() => decodeHex("1bffffffffffffffff"), { code: "CBOR_TYPE_NOT_ALLOWED" });
});

test("cut items, trailing bytes and wrong UTF-8 are refused", () => {
  for (const hex of ["", "18", "44010203", "8201", "a161", "0000", "61ff", "5affffffff", "9b000fffffffffffff"]) {
    assert.throws(() => decodeHex(hex), { code: "CBOR_MALFORMED" }, hex);
  }
});

test("deep nesting and long input are refused", () => {
  assert.throws(() => decodeHex("81".repeat(9) + "00"), { code: "CBOR_TOO_DEEP" });
  assert.throws(() => decodeHex("c1".repeat(9) + "00"), { code: "CBOR_TOO_DEEP" });
  assert.throws(() => decodeCbor(new Uint8Array(5), { maxBytes: 4 }), { code: "CBOR_TOO_LARGE" });
});

test("numbers that are no safe integers are not written", () => {
  for (const value of [1.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => encodeCbor(value), { code: "CBOR_TYPE_NOT_ALLOWED" });
  }
});

test("decoded byte strings are copies", () => {
  const input = encodeCbor(utf8("secret"));
  const value = decodeCbor(input) as Uint8Array;
  input.fill(0);
  assert.deepEqual(value, utf8("secret"));
});

test("arbitrary bytes are refused with a code or have exactly one encoding", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
      let value: CborValue;
      try {
        value = decodeCbor(bytes);
      } catch (error) {
        assert.ok(error instanceof EncodingError);
        return;
      }
      assert.deepEqual(encodeCbor(value), bytes);
    }),
    { numRuns: 3000 },
  );
});
