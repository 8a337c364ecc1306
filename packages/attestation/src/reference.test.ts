import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { APPRAISAL_EXPLANATIONS } from "./appraisal/appraisal-codes.ts";
import { COLLATERAL_EXPLANATIONS } from "./collateral/collateral-codes.ts";
import { INSPECT_EXPLANATIONS } from "./inspect/inspection.ts";
import { MAA_EXPLANATIONS } from "./maa/maa-codes.ts";
import { QCNL_EXPLANATIONS } from "./qcnl/qcnl-codes.ts";
import { RA_TLS_EXPLANATIONS } from "./ra-tls/codes.ts";

const text = readFileSync(new URL("../../../docs/reference/attestation.md", import.meta.url), "utf8");

const explained = [
  ...APPRAISAL_EXPLANATIONS,
  ...Object.entries({
    ...RA_TLS_EXPLANATIONS,
    ...COLLATERAL_EXPLANATIONS,
    ...QCNL_EXPLANATIONS,
    ...MAA_EXPLANATIONS,
    ...INSPECT_EXPLANATIONS,
  }),
];

test("the reference lists every code with its reason and remedy, and no other code", () => {
  const documented = [...text.matchAll(/^\| `([A-Z][A-Z0-9_]+)` +\| (.+?) +\| (.+?) +\|$/gm)].map((row) =>
    row.slice(1),
  );
  const expected = explained.map(([code, { what, why, remedy }]) => [code, `${what}: ${why}`, remedy]);
  assert.deepEqual(documented, expected);
});

test("codes that the text of the reference names exist", () => {
  const codes = explained.map(([code]) => code);
  const [prose = ""] = text.split("\n## Codes");
  const named = [...prose.matchAll(/`(\*?[A-Z][A-Z0-9]*_[A-Z0-9_]*\*?|\*_[A-Z_]+)`/g)].map(([, name = ""]) => name);
  assert.ok(named.length > 20);
  for (const name of named.filter((name) => name !== "INTEL_ROOT")) {
    const pattern = new RegExp(`^${name.replaceAll("*", ".+")}$`);
    assert.ok(
      codes.some((code) => pattern.test(code)),
      name,
    );
  }
});
