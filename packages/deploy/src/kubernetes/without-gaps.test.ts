import assert from "node:assert/strict";
import { test } from "node:test";
import { withoutGaps } from "./without-gaps.ts";

test("entries and items without content go, whatever is falsy stays", () => {
  const value = { a: undefined, b: [undefined, 0, { c: undefined, d: false }], e: "", f: null };
  assert.deepEqual(withoutGaps(value), { b: [0, { d: false }], e: "", f: null });
});
