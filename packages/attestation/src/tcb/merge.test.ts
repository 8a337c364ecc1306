import assert from "node:assert/strict";
import { test } from "node:test";
import { mergeStatus } from "./merge.ts";

// dcap.md C.5, step 13: status of the platform, of the part, and what they make together.
const table = [
  ["UpToDate", "UpToDate", "UpToDate"],
  ["UpToDate", "OutOfDate", "OutOfDate"],
  ["SWHardeningNeeded", "UpToDate", "SWHardeningNeeded"],
  ["SWHardeningNeeded", "OutOfDate", "OutOfDate"],
  ["ConfigurationNeeded", "UpToDate", "ConfigurationNeeded"],
  ["ConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"],
  ["ConfigurationAndSWHardeningNeeded", "UpToDate", "ConfigurationAndSWHardeningNeeded"],
  ["ConfigurationAndSWHardeningNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"],
  ["OutOfDate", "UpToDate", "OutOfDate"],
  ["OutOfDate", "OutOfDate", "OutOfDate"],
  ["OutOfDateConfigurationNeeded", "UpToDate", "OutOfDateConfigurationNeeded"],
  ["OutOfDateConfigurationNeeded", "OutOfDate", "OutOfDateConfigurationNeeded"],
  ["RelaunchAdvised", "UpToDate", "RelaunchAdvised"],
  ["Revoked", "UpToDate", "Revoked"],
  ["Revoked", "OutOfDate", "Revoked"],
  ["UpToDate", "Revoked", "Revoked"],
  ["OutOfDate", "Revoked", "Revoked"],
] as const;

for (const [platform, part, merged] of table) {
  test(`${platform} with a part that is ${part} is ${merged}`, () => {
    assert.equal(mergeStatus(platform, part), merged);
  });
}
