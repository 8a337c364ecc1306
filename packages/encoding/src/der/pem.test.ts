import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { fromBase64, toBase64 } from "../base64.ts";
import { encodePem, parsePem } from "./pem.ts";

const bytes = Uint8Array.from({ length: 100 }, (_, index) => index);
const text = encodePem("CERTIFICATE", bytes);

test("blocks are read in their order", () => {
  const second = encodePem("CERTIFICATE", Uint8Array.of(1, 2, 3));
  assert.deepEqual(parsePem(text + second, "CERTIFICATE"), [bytes, Uint8Array.of(1, 2, 3)]);
});

test("CRLF line ends and a missing last line end are read too", () => {
  assert.deepEqual(parsePem(text.replaceAll("\n", "\r\n"), "CERTIFICATE"), [bytes]);
  assert.deepEqual(parsePem(text.trimEnd(), "CERTIFICATE"), [bytes]);
});

const refused: readonly [string, string][] = [
  ["an empty text", ""],
  ["text before a block", `x\n${text}`],
  ["text after a block", `${text}x\n`],
  ["a NUL at the end", `${text}\0`],
  ["an empty line between blocks", `${text}\n${text}`],
  ["another label", text.replaceAll("CERTIFICATE", "X509 CRL")],
  ["a block without an end", text.slice(0, 100)],
  ["a block without content", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"],
  ["a space in a line", text.replace("AAEC", "AAE C")],
  ["a short line before the last", text.replace("AAEC", "")],
  ["mixed line ends", text.replace("\n", "\r\n")],
  ["a character outside the alphabet", text.replace("AAEC", "AA_C")],
];

for (const [title, input] of refused) {
  test(`refused: ${title}`, () => {
    assert.throws(() => parsePem(input, "CERTIFICATE"), { code: "PEM_MALFORMED" });
  });
}

test("base64 has one form: padded, and without bits that nobody reads", () => {
  assert.deepEqual(fromBase64("AQ=="), Uint8Array.of(1));
  for (const other of ["AQ", "AQ=", "AR==", "AQ===", "A===", "====", "AQ==AQ==", "AQ\n=", "AÿA="]) {
    assert.equal(fromBase64(other), undefined, other);
  }
});

test("base64 and PEM give back any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (content) => {
      assert.equal(toBase64(content), Buffer.from(content).toString("base64"));
      assert.deepEqual(fromBase64(toBase64(content)), content);
      assert.deepEqual(parsePem(encodePem("X", content), "X"), [content]);
    }),
  );
});
