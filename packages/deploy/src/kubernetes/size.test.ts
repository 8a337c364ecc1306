import assert from "node:assert/strict";
import { test } from "node:test";
import { Duration } from "./duration.ts";
import { Size } from "./size.ts";

test("a size is written in the largest unit without a rest", () => {
  assert.equal(String(Size.parse("1024Mi")), "1Gi");
  assert.equal(String(Size.mebibytes(1536)), "1536Mi");
  assert.equal(String(Size.bytes(1000)), "1000");
  assert.equal(String(Size.bytes(0)), "0");
});

test("sizes add, multiply and round as enclaves need it", () => {
  const size = Size.mebibytes(300).plus(Size.bytes(1));
  assert.equal(size.toMebibytes(), 301);
  assert.equal(String(size.toPowerOfTwo()), "512Mi");
  assert.equal(Size.mebibytes(1000).over(Size.mebibytes(300)), 3);
});

test("what is no quantity and no span is refused", () => {
  for (const text of ["", "1.5Gi", "-1", "1GB", "1Gi ", "9".repeat(13)]) assert.equal(Size.parse(text), undefined);
  for (const text of ["", "5", "1d", "-1s", "1.5m"]) assert.equal(Duration.parse(text), undefined);
  assert.equal(Duration.parse("5m")?.plus(Duration.seconds(1)).seconds, 301);
});
