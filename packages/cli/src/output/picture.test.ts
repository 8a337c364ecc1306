import assert from "node:assert/strict";
import { test } from "node:test";
import { drawPictures } from "./picture.ts";

test("darker characters stand for brighter pixels, and pictures stand side by side", () => {
  const picture = { width: 2, height: 2, gray: Uint8Array.of(255, 0, 0, 255) };
  assert.equal(drawPictures([picture, picture]), ["@@     @@", "  @@     @@"].join("\n"));
});

test("no pictures give no text", () => {
  assert.equal(drawPictures([]), "");
});
