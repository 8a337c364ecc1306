import assert from "node:assert/strict";
import { test } from "node:test";
import { jsonPatch } from "./json-patch.ts";

test("a patch adds, removes and replaces, and leaves alone what is equal", () => {
  assert.deepEqual(jsonPatch({ a: 1, b: { c: 2 }, d: [1, 2] }, { a: 1, b: { c: 3 }, e: true, d: [1, 4] }), [
    { op: "replace", path: "/b/c", value: 3 },
    { op: "replace", path: "/d/1", value: 4 },
    { op: "add", path: "/e", value: true },
  ]);
  assert.deepEqual(jsonPatch({ a: 1 }, {}), [{ op: "remove", path: "/a" }]);
});

test("keys with slashes and tildes are escaped, lists of another length replaced", () => {
  assert.deepEqual(jsonPatch({ "x.y/z~": 1, l: [1] }, { "x.y/z~": 2, l: [] }), [
    { op: "replace", path: "/l", value: [] },
    { op: "replace", path: "/x.y~1z~0", value: 2 },
  ]);
});
