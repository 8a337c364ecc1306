import assert from "node:assert/strict";
import { test } from "node:test";
import { renderTable } from "./table.ts";

test("a table is as wide as its widest cells and aligns numbers to the right", () => {
  const text = renderTable(
    [{ title: "name" }, { title: "ms", align: "right" }],
    [
      ["seal", "12"],
      ["certificates", "3"],
    ],
  );
  assert.equal(text, ["name          ms", "------------  --", "seal          12", "certificates   3"].join("\n"));
});

test("a table without rows still shows its header", () => {
  assert.equal(renderTable([{ title: "a" }], []), "a\n-");
});
