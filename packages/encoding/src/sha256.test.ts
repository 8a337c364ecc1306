import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as check, property, uint8Array } from "fast-check";
import { toHex, utf8 } from "./bytes.ts";
import { sha256 as inBrowser } from "./sha256.browser.ts";
import { sha256 } from "./sha256.ts";

test("the digest of FIPS 180-4's example is right in Node and in browsers", () => {
  const digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  for (const hash of [sha256, inBrowser]) assert.equal(toHex(hash(utf8("abc"))), digest);
});

test("both give the same digest for the same bytes", () => {
  check(
    property(uint8Array({ maxLength: 300 }), (bytes) => {
      assert.equal(toHex(inBrowser(bytes)), toHex(sha256(bytes)));
    }),
  );
});
