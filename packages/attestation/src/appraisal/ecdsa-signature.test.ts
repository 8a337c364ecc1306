import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { fromHex } from "@cloister/encoding";
import { derEcdsaSignature, rawEcdsaSignature } from "./ecdsa-signature.ts";

const hex = (text: string): Uint8Array => fromHex(text.replaceAll(" ", "")) ?? assert.fail("not hex");
const number = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 32 }),
  fc.nat(31).map((zeros) => new Uint8Array(32).fill(0x80, zeros)),
  fc.constant(new Uint8Array(32)),
);

test("both forms of a signature say the same", () => {
  fc.assert(
    fc.property(number, number, (r, s) => {
      const raw = new Uint8Array([...r, ...s]);
      assert.deepEqual(rawEcdsaSignature(derEcdsaSignature(raw)), raw);
    }),
  );
});

test("a number of more than 32 bytes is no signature on P-256", () => {
  const long = `02 21 01 ${"00".repeat(32)}`;
  assert.equal(rawEcdsaSignature(hex(`30 26 ${long} 02 01 01`)), undefined);
  assert.equal(rawEcdsaSignature(hex(`30 26 02 01 01 ${long}`)), undefined);
});

test("a signature in any but the one DER form is refused", () => {
  const forms = [
    "",
    "30 00",
    "30 03 02 01 01",
    "30 06 02 01 ff 02 01 01",
    "30 07 02 02 00 01 02 01 01",
    "30 09 02 01 01 02 01 01 02 01 01",
    "30 06 02 01 01 02 01 01 00",
    "31 06 02 01 01 02 01 01",
  ];
  for (const form of forms) assert.throws(() => rawEcdsaSignature(hex(form)), { code: "DER_MALFORMED" }, form);
});
