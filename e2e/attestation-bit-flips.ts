// Changes every single bit of a quote and of every collateral item and reports each that is still accepted.
// Run: npm run bit-flips [-- CASE...]. Exit code 1 where an acceptance has no explanation.

import { flipBits } from "../packages/attestation/src/rim/testing/bit-flips.ts";
import { loadCase } from "../packages/attestation/src/rim/testing/dcap-bundle.ts";

const given = process.argv.slice(2);
const ids = given.length > 0 ? given : ["sgx-00a067-config-sw/valid", "tdx5-90c06f-td15-uptodate/valid"];

let unexplained = 0;
for (const id of ids) {
  const { flips, refusals, accepted } = flipBits(loadCase(id), 1);
  const bad = accepted.filter(({ isHexCase }) => !isHexCase);
  unexplained += bad.length;
  const byCode = Object.fromEntries([...refusals].sort(([, a], [, b]) => b - a));
  const report = { id, flips, refused: byCode, acceptedLetterCase: accepted.length - bad.length, unexplained: bad };
  process.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
}
process.exitCode = unexplained === 0 ? 0 : 1;
