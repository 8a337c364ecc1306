import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { concatBytes, fromHex } from "../bytes.ts";
import { DER_TAG, readDer, type DerReader } from "./der.ts";
import { bitString, boolean, integer, nullValue, octetString, oid, sequence } from "./writer.ts";

const hex = (text: string): Uint8Array => fromHex(text.replaceAll(" ", "")) ?? assert.fail("not hex");

test("a nested value is read back", () => {
  const reader = readDer(sequence(integer(127), sequence(boolean(true), nullValue()), octetString(hex("0102"))));
  const outer = reader.sequence();
  reader.end();
  assert.equal(outer.unsigned(200), 127);
  const inner = outer.sequence();
  assert.equal(inner.boolean(), true);
  inner.null();
  inner.end();
  assert.deepEqual(outer.octetString(), hex("0102"));
  outer.end();
});

test("object identifiers are dotted text, whatever the first arcs are", () => {
  for (const text of ["0.0", "1.2.840.113741.1.13.1", "2.5.29.15", "2.999.1"]) {
    assert.equal(readDer(oid(text)).oid(), text);
  }
});

test("a whole BIT STRING and one with unused bits are told apart", () => {
  assert.deepEqual(readDer(bitString(hex("80"), 7)).bitString(), { bytes: hex("80"), unusedBits: 7 });
  assert.throws(() => readDer(bitString(hex("80"), 7)).wholeBitString(), { code: "DER_MALFORMED" });
});

test("the sign byte of an INTEGER is not part of its magnitude", () => {
  assert.deepEqual(readDer(hex("02 02 00 ff")).unsignedBytes(), hex("ff"));
  assert.deepEqual(readDer(hex("02 01 00")).unsignedBytes(), hex("00"));
});

const refused: readonly [string, string, (reader: DerReader) => unknown][] = [
  ["an empty input", "", (reader) => reader.element()],
  ["an indefinite length", "30 80 00 00", (reader) => reader.sequence()],
  ["a length of five bytes", "04 85 00 00 00 00 01 ff", (reader) => reader.octetString()],
  ["a length in the long form that fits the short one", "04 81 01 ff", (reader) => reader.octetString()],
  ["a length with a leading zero byte", "04 82 00 80", (reader) => reader.octetString()],
  ["a length beyond the data", "04 05 00", (reader) => reader.octetString()],
  ["a tag of more than one byte", "1f 81 01 00", (reader) => reader.element()],
  ["another type", "04 01 00", (reader) => reader.sequence()],
  ["an empty INTEGER", "02 00", (reader) => reader.unsigned(1)],
  ["a padded positive INTEGER", "02 02 00 7f", (reader) => reader.unsigned(200)],
  ["a padded negative INTEGER", "02 02 ff 80", (reader) => reader.integerBytes()],
  ["a negative INTEGER", "02 01 ff", (reader) => reader.unsigned(255)],
  ["a negative magnitude", "02 01 80", (reader) => reader.unsignedBytes()],
  ["an INTEGER above the maximum", "02 02 01 00", (reader) => reader.unsigned(255)],
  ["an INTEGER of six bytes", "02 06 01 00 00 00 00 00", (reader) => reader.unsigned(2 ** 31 - 1)],
  ["a BOOLEAN of 01", "01 01 01", (reader) => reader.boolean()],
  ["a BOOLEAN of two bytes", "01 02 ff ff", (reader) => reader.boolean()],
  ["a NULL with content", "05 01 00", (reader) => reader.null()],
  ["a BIT STRING without its first byte", "03 00", (reader) => reader.bitString()],
  ["a BIT STRING with 8 unused bits", "03 02 08 00", (reader) => reader.bitString()],
  ["unused bits in no byte", "03 01 01", (reader) => reader.bitString()],
  ["unused bits that are not zero", "03 02 01 01", (reader) => reader.bitString()],
  ["an empty OBJECT IDENTIFIER", "06 00", (reader) => reader.oid()],
  ["an OBJECT IDENTIFIER that ends in an arc", "06 02 2a 86", (reader) => reader.oid()],
  ["a padded arc", "06 03 2a 80 01", (reader) => reader.oid()],
  ["an arc beyond 2^53", "06 0a 2a ff ff ff ff ff ff ff ff 7f", (reader) => reader.oid()],
  ["an element after the last", "05 00 05 00", (reader) => (reader.null(), reader.end())],
];

for (const [title, input, read] of refused) {
  test(`refused: ${title}`, () => {
    assert.throws(() => read(readDer(hex(input))), { code: "DER_MALFORMED" });
  });
}

test("input longer than the limit is refused before it is read", () => {
  assert.throws(() => readDer(new Uint8Array(11), { maxBytes: 10 }), { code: "DER_TOO_LARGE" });
});

test("what the writer writes, the reader reads", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 1n << 200n }), fc.uint8Array({ maxLength: 400 }), (number, bytes) => {
      const reader = readDer(sequence(integer(number), octetString(bytes))).sequence();
      const magnitude = reader.unsignedBytes().reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
      assert.equal(magnitude, number);
      assert.deepEqual(reader.octetString(), bytes);
      reader.end();
    }),
  );
});

test("any bytes give elements that add up to the input, or a refusal", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const reader = readDer(bytes);
      const parts: Uint8Array[] = [];
      try {
        while (!reader.atEnd) parts.push(reader.element().raw);
      } catch (error) {
        assert.equal((error as { code?: unknown }).code, "DER_MALFORMED");
        return;
      }
      assert.deepEqual(concatBytes(...parts), bytes);
    }),
  );
});

test("every length has one form only", () => {
  for (const length of [0, 1, 127, 128, 255, 256, 65535, 65536]) {
    const content = new Uint8Array(length).fill(7);
    const element = readDer(octetString(content)).element();
    assert.equal(element.tag, DER_TAG.octetString);
    assert.deepEqual(element.content, content);
  }
});
