import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import * as fc from "fast-check";
import { runVectorFolder } from "../rim/vector-folder.ts";
import type { VectorOutcome } from "./vectors.ts";

const FOLDER = fileURLToPath(new URL("../../vectors/dcap", import.meta.url));

interface Expectation {
  readonly verdict: "verified" | "rejected";
  readonly reason?: string;
  readonly tcbStatus?: string;
  readonly advisoryIDs?: readonly string[];
}

interface Case {
  readonly id: string;
  readonly title: string;
  readonly patch: readonly object[];
  readonly expect: Expectation;
}

/** Codes that belong to each coarse reason of the vectors, by how they begin. */
const CODES_OF_REASON: Readonly<Record<string, RegExp>> = {
  "malformed-quote": /^QUOTE_(?!SIGNATURE)/,
  "unsupported-quote": /^QUOTE_(?!SIGNATURE)/,
  "pck-chain": /^PCK_(CHAIN|EXTENSION)_/,
  revoked: /_REVOKED$/,
  crl: /_CRL_/,
  "collateral-expired": /_EXPIRED$/,
  "collateral-not-yet-valid": /_NOT_YET_VALID$/,
  "collateral-signature": /^(TCB_INFO|QE_IDENTITY)_/,
  "collateral-malformed": /^(TCB_INFO|QE_IDENTITY)_MALFORMED$/,
  "collateral-mismatch": /_MISMATCH$/,
  "collateral-mismatch-or-time": /_(MISMATCH|EXPIRED|NOT_YET_VALID)$/,
  "tdx-module": /^TDX_MODULE_/,
  "qe-report": /^QE_REPORT_/,
  "qe-identity": /^QE_(MISCSELECT|ATTRIBUTES|MRSIGNER|ISVPRODID)_/,
  "quote-signature": /^QUOTE_SIGNATURE_INVALID$/,
  "tcb-not-supported": /TCB_NOT_SUPPORTED$/,
  "tcb-revoked": /^TCB_REVOKED$/,
};

interface Index {
  readonly cases: readonly Case[];
  readonly bundles: Readonly<Record<string, object>>;
}

const { cases, bundles } = JSON.parse(readFileSync(`${FOLDER}/index.json`, "utf8")) as Index;
const outcomes = new Map<string, VectorOutcome>([...runVectorFolder(FOLDER)].map((outcome) => [outcome.id, outcome]));

test("every case of the index is run, and no id comes twice", () => {
  assert.equal(outcomes.size, 317);
  assert.equal(cases.length, 317);
});

for (const { id, title, expect } of cases) {
  test(`vector ${id}: ${title}`, () => {
    const outcome = outcomes.get(id);
    assert.equal(outcome?.verdict, expect.verdict, outcome?.code ?? "");
    if (expect.verdict === "rejected") {
      assert.match(outcome?.code ?? "", CODES_OF_REASON[expect.reason ?? ""] ?? /^unknown reason$/);
      return;
    }
    assert.equal(outcome?.tcbStatus, expect.tcbStatus);
    assert.deepEqual(outcome?.advisoryIDs, [...new Set(expect.advisoryIDs)].sort());
  });
}

const folder = (index: unknown): string => {
  const path = mkdtempSync(join(tmpdir(), "vectors-"));
  writeFileSync(join(path, "index.json"), JSON.stringify(index));
  return path;
};

test("cases that cannot be run are unsupported, and evidence that is missing is refused", () => {
  const odd = { empty: { files: {} }, outside: { files: { quote: { path: "../../etc/passwd" } } } };
  const base = { bundle: "empty", time: 0, patch: [] };
  const patched = (patch: object) => ({ ...base, id: "p", patch: [{ file: "quote", ...patch }] });
  const unusual = [
    { ...base, id: "empty" },
    { ...base, bundle: "outside", id: "outside" },
    { ...base, bundle: "none", id: "no bundle" },
    { ...base, id: 7 },
    { id: "no time", bundle: "empty" },
    {},
    null,
    7,
    [],
    patched({ op: "rotate" }),
    patched({ op: "xor", offset: 5, hex: "00" }),
    patched({ op: "append", hex: "0" }),
    patched({ op: "use", bundle: "none", role: "quote" }),
    patched({ op: "xor", file: "secret" }),
  ];
  const path = folder({ bundles: odd, cases: unusual });
  const verdicts = [...runVectorFolder(path)].map(({ id, verdict, code }) => `${id}: ${verdict} ${code}`);
  rmSync(path, { recursive: true });
  assert.deepEqual(verdicts, [
    "empty: rejected ANCHOR_MALFORMED",
    "outside: unsupported CASE_UNSUPPORTED",
    "no bundle: unsupported CASE_UNSUPPORTED",
    ": rejected ANCHOR_MALFORMED",
    "no time: unsupported CASE_UNSUPPORTED",
    ": unsupported CASE_UNSUPPORTED",
    ": unsupported CASE_UNSUPPORTED",
    ": unsupported CASE_UNSUPPORTED",
    ": unsupported CASE_UNSUPPORTED",
    "p: unsupported CASE_UNSUPPORTED",
    "p: unsupported CASE_UNSUPPORTED",
    "p: unsupported CASE_UNSUPPORTED",
    "p: unsupported CASE_UNSUPPORTED",
    "p: unsupported CASE_UNSUPPORTED",
  ]);
});

const ROLES = ["quote", "tcb_info", "qe_identity", "root_ca_crl", "pck_crl", "pck_crl_issuer_chain", "root_ca", "none"];
const OPERATIONS = [
  "xor",
  "setBytes",
  "addU32LE",
  "truncate",
  "append",
  "appendRepeat",
  "replaceText",
  "use",
  "toString",
];
const oddValue = fc.oneof(fc.integer(), fc.double({ noNaN: true }), fc.string(), fc.constantFrom(null, true, [], {}));
const oddPatch = fc.record(
  {
    file: fc.constantFrom(...ROLES),
    op: fc.constantFrom(...OPERATIONS),
    offset: fc.oneof(fc.integer({ min: -6000, max: 6000 }), oddValue),
    hex: fc.oneof(fc.constantFrom("00", "ff01", "0"), oddValue),
    value: oddValue,
    length: fc.oneof(fc.integer({ min: -6000, max: 6000 }), oddValue),
    byte: fc.integer({ min: -1, max: 256 }),
    count: fc.oneof(fc.integer({ min: 0, max: 9999 }), oddValue),
    find: fc.constantFrom("", "UpToDate", "2025", "-----BEGIN"),
    with: fc.constantFrom("", "Revoked", "\0"),
    bundle: fc.constantFrom(...Object.keys(bundles), "none"),
    role: fc.constantFrom(...ROLES),
  },
  { requiredKeys: ["file", "op"] },
);
const oddTime = fc.oneof(fc.integer(), fc.constantFrom(-1, 0, 8.64e12, 8.65e12, 1e308), oddValue);

test("no change to the cases of the index crashes the run, or makes a case verify that must be refused", () => {
  const changed = fc.record({
    of: fc.constantFrom(...cases),
    patch: fc.array(oddPatch, { maxLength: 3 }),
    time: fc.option(oddTime, { nil: undefined }),
  });
  const sample = fc.sample(changed, { numRuns: 400, seed: 5 });
  const unusual = sample.map(({ of, patch, time }) => ({
    ...of,
    patch: [...of.patch, ...patch],
    ...(time !== undefined && { time }),
  }));
  const path = mkdtempSync(join(tmpdir(), "vectors-"));
  cpSync(FOLDER, path, { recursive: true });
  writeFileSync(join(path, "index.json"), JSON.stringify({ bundles, cases: unusual }));
  const found = [...runVectorFolder(path)];
  rmSync(path, { recursive: true });
  assert.equal(found.length, unusual.length);
  for (const [index, { id, verdict }] of found.entries()) {
    assert.notEqual(verdict, "crashed", id);
    const { of, patch, time } = sample[index] ?? assert.fail("as many outcomes as cases");
    // Another time, or another bundle's file, can put right what was wrong.
    const isAsWrong = of.expect.verdict === "rejected" && time === undefined && patch.every(({ op }) => op !== "use");
    if (isAsWrong) assert.notEqual(verdict, "verified", id);
  }
});
