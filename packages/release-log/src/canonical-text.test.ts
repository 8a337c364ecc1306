import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalJson, type JsonValue } from "@cloister/encoding/canonical-json";
import { assert as check, constantFrom, jsonValue, property, string } from "fast-check";
import { isCanonicalText } from "./canonical-text.ts";

/** The definition that the quick answer is held against. */
function isDefined(value: JsonValue, text: string): boolean {
  try {
    return canonicalJson(value) === text;
  } catch {
    return false;
  }
}

function isQuick(value: JsonValue, text: string): boolean {
  try {
    return isCanonicalText(value, text);
  } catch {
    return false;
  }
}

test("the quick answer is the defined one for any value as the engine writes it", () => {
  check(
    property(jsonValue({ noUnicodeString: false }), (value) => {
      const text = JSON.stringify(value);
      const parsed = JSON.parse(text) as JsonValue;
      assert.equal(isQuick(parsed, text), isDefined(parsed, text));
    }),
    { numRuns: 2000 },
  );
});

test("the quick answer is the defined one where text is damaged in one place", () => {
  const source = '{"10":1,"9":-2,"a":{"b":[null,true,"x\\\\ud\\u0001\u00e9"]},"z":12}';
  check(
    property(constantFrom(...Array.from(source, (_, i) => i)), string({ maxLength: 2 }), (at, put) => {
      const text = source.slice(0, at) + put + source.slice(at + 1);
      let parsed: JsonValue;
      try {
        parsed = JSON.parse(text) as JsonValue;
      } catch {
        return;
      }
      assert.equal(isQuick(parsed, text), isDefined(parsed, text));
    }),
    { numRuns: 5000 },
  );
  assert.equal(isQuick(JSON.parse(source) as JsonValue, source), true);
});

const others = [
  '{"b":1,"a":2}',
  '{"a":1,"a":1}',
  '{"a":1.5}',
  '{"a":1e2}',
  '{"a":-0}',
  '{"a": 1}',
  '{"2":0,"10":0}',
  String.raw`"\ud800"`,
  String.raw`"\u0041"`,
  String.raw`"\/"`,
  "[9007199254740992]",
];
for (const text of others) {
  test(`${text} is not canonical`, () => {
    assert.equal(isQuick(JSON.parse(text) as JsonValue, text), false);
  });
}
