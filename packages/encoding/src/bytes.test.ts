import assert from "node:assert/strict";
import { inspect } from "node:util";
import { test } from "node:test";
import * as fc from "fast-check";
import { asBuffer, concatBytes, equalBytes, fromHex, fromUtf8, isZero, toHex, utf8 } from "./bytes.ts";
import { Secret } from "./secret.ts";

test("hex is written and read as Buffer does it", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const hex = Buffer.from(bytes).toString("hex");
      assert.equal(toHex(bytes), hex);
      assert.deepEqual(fromHex(hex), bytes);
      assert.deepEqual(fromHex(hex.toUpperCase()), bytes);
    }),
  );
});

test("text that is not whole bytes of hex is no hex", () => {
  for (const text of ["0", "0g", "g0", " 00", "0x00", "é0", "0é", "٠٠", "00 "])
    assert.equal(fromHex(text), undefined, text);
  assert.deepEqual(fromHex(""), new Uint8Array());
});

test("byte strings are equal where length and every byte are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 6, max: 1 }), fc.uint8Array({ maxLength: 6, max: 1 }), (a, b) => {
      assert.equal(equalBytes(a, b), Buffer.compare(a, b) === 0);
    }),
  );
});

test("zero is every byte zero, and nothing is zero too", () => {
  assert.ok(isZero(new Uint8Array()) && isZero(new Uint8Array(9)));
  assert.ok(!isZero(Uint8Array.of(0, 0, 1)));
});

test("parts are joined in their order, into memory of its own", () => {
  const part = Uint8Array.of(1, 2);
  const whole = concatBytes(part, new Uint8Array(), Uint8Array.of(3));
  part[0] = 9;
  assert.deepEqual(whole, Uint8Array.of(1, 2, 3));
});

test("a Buffer of a view shares its memory and its bounds", () => {
  const bytes = Uint8Array.of(1, 2, 3, 4);
  const buffer = asBuffer(bytes.subarray(1, 3));
  assert.deepEqual([...buffer], [2, 3]);
  buffer[0] = 7;
  assert.equal(bytes[1], 7);
});

test("text is UTF-8 both ways, and bytes that are not are refused each time", () => {
  assert.equal(fromUtf8(utf8("é\ufeff€😀")), "é\ufeff€😀");
  for (const bad of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
    assert.equal(fromUtf8(Uint8Array.from(bad)), undefined);
    // A decoder that failed starts anew.
    assert.equal(fromUtf8(utf8("after")), "after");
  }
});

test("inspecting a secret shows its label only", () => {
  const secret = new Secret(utf8("do not print"), "test key");
  assert.equal(inspect({ secret }), "{ secret: [secret] (test key) }");
});
