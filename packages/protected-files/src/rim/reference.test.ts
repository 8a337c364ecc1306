import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EXPLANATIONS } from "../errors.ts";
import { STOCK_TOLERANCES } from "../tolerance.ts";

const page = readFileSync(new URL("../../../../docs/reference/protected-files.md", import.meta.url), "utf8");
/** The page without the padding that aligns its tables. */
const text = page.replaceAll(/ +/g, " ");

test("the reference page has every code as it is explained, and no other", () => {
  for (const [code, [what, why, remedy]] of Object.entries(EXPLANATIONS)) {
    assert.ok(text.includes(`| \`${code}\` | ${what}: ${why} | ${remedy} |`), code);
  }
  const listed = [...text.matchAll(/^\| `([A-Z_]+)` \| [a-z]/gm)].map(([, code]) => code);
  assert.deepEqual(listed.sort(), Object.keys(EXPLANATIONS).sort());
});

test("the reference page has every tolerance", () => {
  for (const tolerance of [...STOCK_TOLERANCES, "raw-path"])
    assert.ok(text.includes(`| \`${tolerance}\` |`), tolerance);
});
