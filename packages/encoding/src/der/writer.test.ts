import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { toHex, utf8 } from "../bytes.ts";
import { readDer } from "./der.ts";
import * as der from "./writer.ts";

const notAllowed = { code: "DER_VALUE_NOT_ALLOWED" };

test("integers are minimal two's complement", () => {
  const cases: [bigint | number, string][] = [
    [0, "020100"],
    [127, "02017f"],
    [128, "02020080"],
    [-1, "0201ff"],
    [-128, "020180"],
    [-129, "0202ff7f"],
    [1n << 64n, "0209010000000000000000"],
  ];
  for (const [value, hex] of cases) assert.equal(toHex(der.integer(value)), hex);
});

test("a byte string is written as an unsigned integer without leading zeros", () => {
  assert.equal(toHex(der.integer(Uint8Array.of(0, 0, 0x80))), "02020080");
  assert.equal(toHex(der.integer(new Uint8Array())), "020100");
});

test("any unsigned integer comes back from the reader", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 1n << 200n }), (value) => {
      const magnitude = readDer(der.integer(value)).unsignedBytes();
      assert.equal(BigInt(`0x${toHex(magnitude)}`), value);
    }),
  );
});

test("object identifiers come back from the reader, large arcs included", () => {
  for (const text of ["1.2.840.113741.1.13.1", "2.999.3", "0.6.9.42.840.113741.1337.6", "2.23.133.5.4.9"]) {
    assert.equal(readDer(der.oid(text)).oid(), text);
  }
});

test("object identifiers that no one can write are refused", () => {
  for (const text of ["", "1", "3.1", "1.40", "1.2.", "1.02", "1.-2"]) assert.throws(() => der.oid(text), notAllowed);
});

test("named bits drop their trailing zeros", () => {
  assert.equal(toHex(der.namedBits([5, 6])), "03020106");
  assert.equal(toHex(der.namedBits([0, 8])), "0303078080");
  assert.equal(toHex(der.namedBits([])), "030100");
});

test("unused bits that are set are refused", () => {
  assert.throws(() => der.bitString(Uint8Array.of(0x81), 1), notAllowed);
  assert.throws(() => der.bitString(new Uint8Array(), 1), notAllowed);
});

test("SET OF is sorted by the encodings", () => {
  const sorted = der.set(der.integer(300), der.integer(2), der.integer(1));
  assert.equal(toHex(sorted), "310a0201010201020202012c");
});

test("times change from UTCTime to GeneralizedTime with the year 2050", () => {
  assert.equal(toHex(der.x509Time(new Date("2049-12-31T23:59:59.999Z"))), `170d${toHex(utf8("491231235959Z"))}`);
  assert.equal(toHex(der.x509Time(new Date("2050-01-01T00:00:00Z"))), `180f${toHex(utf8("20500101000000Z"))}`);
  assert.throws(() => der.utcTime(new Date("2050-01-01T00:00:00Z")), notAllowed);
  assert.throws(() => der.x509Time(new Date(Number.NaN)), notAllowed);
});

test("strings that do not fit their type are refused", () => {
  assert.throws(() => der.printableString("a@b"), notAllowed);
  assert.throws(() => der.ia5String("\u00e9"), notAllowed);
  assert.throws(() => der.utf8String("\ud800"), notAllowed);
});

test("lengths take the short form below 128 and the fewest bytes above", () => {
  assert.equal(toHex(der.octetString(new Uint8Array(127)).subarray(0, 3)), "047f00");
  assert.equal(toHex(der.octetString(new Uint8Array(128)).subarray(0, 3)), "048180");
  assert.equal(toHex(der.octetString(new Uint8Array(256)).subarray(0, 4)), "04820100");
});

test("context tags outside 0 to 30 are refused", () => {
  assert.equal(toHex(der.contextExplicit(3, der.nullValue())), "a3020500");
  assert.equal(toHex(der.contextPrimitive(2, Uint8Array.of(1))), "820101");
  for (const number of [-1, 31, 1.5]) assert.throws(() => der.contextExplicit(number), notAllowed);
});
