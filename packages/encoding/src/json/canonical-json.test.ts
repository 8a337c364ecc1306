import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { canonicalJson, parseCanonicalJson, parseStrictJson, type JsonValue } from "./canonical-json.ts";

test("names are sorted and no white space is written", () => {
  assert.equal(canonicalJson({ b: [1, { d: null, c: true }], a: "x" }), '{"a":"x","b":[1,{"c":true,"d":null}]}');
});

test("names are sorted by UTF-16 units, as RFC 8785 has it", () => {
  const names = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 };
  assert.equal(canonicalJson(names), '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}');
});

test("members that are undefined are left out", () => {
  assert.equal(canonicalJson({ a: undefined, b: 1 }), '{"b":1}');
});

test("what has no canonical form is refused", () => {
  const values: unknown[] = [1.5, Number.NaN, 2 ** 53, -0, "\ud800", new Date(0), new Map(), [undefined], 1n, () => 0];
  for (const value of values) {
    assert.throws(() => canonicalJson(value as JsonValue), { code: "JSON_VALUE_NOT_ALLOWED" });
  }
});

test("a parsed object has no prototype, and __proto__ is a name like any other", () => {
  const value = parseStrictJson('{"__proto__":{"x":1},"constructor":2}') as Record<string, JsonValue>;
  assert.equal(Object.getPrototypeOf(value), null);
  assert.deepEqual(Object.keys(value), ["__proto__", "constructor"]);
  assert.equal(({} as { x?: number }).x, undefined);
});

test("escapes mean the same as in JSON.parse", () => {
  for (const text of ['"\\u0041\\n\\/\\"\\\\\\b\\f\\t\\r"', '"\\ud83d\\ude00"', '"\u007f\u0085"', '"\u2028"']) {
    assert.equal(parseStrictJson(text), JSON.parse(text));
  }
});

test("numbers that are no safe integers are let through only on request", () => {
  for (const text of ["1.5", "1e3", "9007199254740993", "-0"]) {
    assert.throws(() => parseStrictJson(text), { code: "JSON_NUMBER_NOT_ALLOWED" });
    assert.equal(parseStrictJson(text, { allowAnyNumber: true }), Number(text));
  }
  assert.throws(() => parseStrictJson("1e999", { allowAnyNumber: true }), { code: "JSON_NUMBER_NOT_ALLOWED" });
});

test("text that is valid but not canonical is refused where canonical text is asked for", () => {
  assert.deepEqual(parseCanonicalJson("[1,2]"), [1, 2]);
  for (const text of ["[1, 2]", '{"b":1,"a":2}', '"\\u0041"', "1 "]) {
    assert.throws(() => parseCanonicalJson(text), { code: "JSON_NOT_CANONICAL" });
  }
});

test("any JSON of the subset survives writing and reading", () => {
  const leaf = fc.oneof(fc.constant(null), fc.boolean(), fc.maxSafeInteger(), fc.string({ unit: "grapheme" }));
  const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie("value")), fc.dictionary(fc.string(), tie("value"))),
  }));
  fc.assert(
    fc.property(value, (original) => {
      const text = canonicalJson(original);
      assert.equal(canonicalJson(parseCanonicalJson(text)), text);
      assert.equal(JSON.stringify(JSON.parse(text)), JSON.stringify(parseStrictJson(text)));
    }),
  );
});
