import assert from "node:assert/strict";
import { test } from "node:test";
import { flipBits } from "../rim/testing/bit-flips.ts";
import { loadCase } from "../rim/testing/dcap-bundle.ts";

// A sample, moved on by a prime. `npm run bit-flips` runs all of them.
for (const id of ["sgx-00a067-config-sw/valid", "tdx5-90c06f-td15-uptodate/valid"]) {
  test(`no changed bit goes unnoticed: ${id}`, () => {
    const { flips, refusals, accepted } = flipBits(loadCase(id), 97);
    assert.ok(flips > 1200);
    assert.ok(refusals.size > 10);
    assert.deepEqual(
      accepted.filter(({ isHexCase }) => !isHexCase),
      [],
    );
  });
}

test("every byte of a quote counts", () => {
  const { flips, accepted } = flipBits(loadCase("sgx-00606a-2025-08/valid"), 8, ["quote"]);
  assert.ok(flips > 4000);
  assert.deepEqual(accepted, []);
});
