import assert from "node:assert/strict";
import { test } from "node:test";
import { InvalidArgumentError } from "commander";
import { address, fraction, wholeNumber } from "./flags.ts";

test("an address is a name or an IP address and a port, and nothing looser", () => {
  assert.deepEqual(address("[::1]:8500"), { host: "::1", port: 8500 });
  assert.deepEqual(address("serving.example:443"), { host: "serving.example", port: 443 });
  for (const text of ["", "serving.example", "::1:8500", "https://a:1", "a b:1", "a;b:1", "a:65536", "[x]:1"]) {
    assert.throws(() => address(text), InvalidArgumentError, text);
  }
});

test("a whole number is written with digits and stays in its range", () => {
  const parse = wholeNumber(1, 10);
  assert.equal(parse("10"), 10);
  for (const text of ["0", "11", "1.5", "1e0", "-1", ""]) assert.throws(() => parse(text), InvalidArgumentError, text);
});

test("a part of a whole is a number from 0 to 1", () => {
  assert.deepEqual(["0", "0.25", "1"].map(fraction), [0, 0.25, 1]);
  for (const text of ["", "-0.1", "1.1", "half"]) assert.throws(() => fraction(text), InvalidArgumentError, text);
});
