import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { EncodingError } from "../encoding-error.ts";
import { parseStrictJson } from "./strict-json.ts";

test("text that is no JSON is refused", () => {
  // prettier-ignore
  const texts = [
    "", " ", "{", "[", '"', "nul", "truex", "01", "+1", "-", "1.", ".5", "1e", "NaN", "Infinity", "undefined",
    "[1,]", "[,1]", "[1 2]", '{"a"}', '{"a":}', '{"a":1,}', "{a:1}", "{'a':1}", "[1]]", "1 2", "\ufeff1", "[1}",
    '"\n"', '"\u0000"', '"\\x41"', '"\\u12g4"', '"\\u123"', '"\\', '"\\ud800"', '"\\udc00\\ud800"', "/**/1", "1//",
  ];
  for (const text of texts) assert.throws(() => parseStrictJson(text), { code: "JSON_MALFORMED" }, text);
});

test("a name that comes twice is refused, also when one of the two is escaped", () => {
  for (const text of ['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '[{"x":{"__proto__":1,"__proto__":2}}]']) {
    assert.throws(() => parseStrictJson(text), { code: "JSON_DUPLICATE_NAME" });
  }
});

test("deep nesting is refused before the stack is used up", () => {
  const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
  assert.doesNotThrow(() => parseStrictJson(nested(32)));
  assert.throws(() => parseStrictJson(nested(33)), { code: "JSON_TOO_DEEP" });
  assert.throws(() => parseStrictJson('{"a":'.repeat(200_000)), { code: "JSON_TOO_DEEP" });
});

test("text over the limit is refused before it is read", () => {
  assert.throws(() => parseStrictJson('"aaaa"', { maxLength: 5 }), { code: "JSON_TOO_LARGE" });
});

test("reading long strings full of escapes takes linear time", () => {
  const text = JSON.stringify("\n".repeat(400_000));
  const started = performance.now();
  assert.equal(parseStrictJson(text, { maxLength: 1 << 21 }), "\n".repeat(400_000));
  assert.ok(performance.now() - started < 2000);
});

test("arbitrary text is read as JSON.parse reads it, or refused with a code", () => {
  const characters = fc.constantFrom(...'{}[]:,"\\u0019-.eEtruefalsn \n\u0000'.split(""));
  fc.assert(
    fc.property(fc.string({ unit: characters, maxLength: 24 }), (text) => {
      let value: unknown;
      try {
        value = parseStrictJson(text);
      } catch (error) {
        assert.ok(error instanceof EncodingError);
        return;
      }
      assert.equal(JSON.stringify(value), JSON.stringify(JSON.parse(text)));
    }),
    { numRuns: 2000 },
  );
});
