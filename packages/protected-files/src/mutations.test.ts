import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { ProtectedFileCode } from "./errors.ts";
import { openFile } from "./open.ts";
import { throwsCode } from "./rim/test-assert.ts";
import { forEachCipher } from "./rim/test-ciphers.ts";
import { index, mutated, type Mutation, sha256Hex, vectorKey } from "./rim/test-vectors.ts";
import { STOCK_TOLERANCES, type Tolerance } from "./tolerance.ts";

// What the default does with each recorded mutation: the code it refuses with, or "opens".
const DEFAULTS: Readonly<Record<string, ProtectedFileCode | "opens">> = {
  control: "opens",
  "wrong-key": "METADATA_NOT_AUTHENTIC",
  "wrong-path": "PATH_MISMATCH",
  "path-prefix": "PATH_MISMATCH",
  magic: "MAGIC_UNKNOWN",
  "major-0": "VERSION_UNSUPPORTED",
  "major-2-on-v1": "FEATURE_FLAGS_UNKNOWN",
  "major-3": "VERSION_UNSUPPORTED",
  "minor-1": "MINOR_VERSION_UNKNOWN",
  "nonce-first": "METADATA_NOT_AUTHENTIC",
  "nonce-last": "METADATA_NOT_AUTHENTIC",
  "md-mac-first": "METADATA_NOT_AUTHENTIC",
  "md-mac-last": "METADATA_NOT_AUTHENTIC",
  "md-ct-first": "METADATA_NOT_AUTHENTIC",
  "md-ct-last": "METADATA_NOT_AUTHENTIC",
  "md-padding": "METADATA_PADDING_NOT_ZERO",
  "root-mht": "TREE_NODE_NOT_AUTHENTIC",
  "data0-first": "DATA_NODE_NOT_AUTHENTIC",
  "data0-last": "DATA_NODE_NOT_AUTHENTIC",
  "data1-tail": "DATA_NODE_NOT_AUTHENTIC",
  "swap-data": "DATA_NODE_NOT_AUTHENTIC",
  "dup-data": "DATA_NODE_NOT_AUTHENTIC",
  "swap-mht-data": "TREE_NODE_NOT_AUTHENTIC",
  "foreign-data": "DATA_NODE_NOT_AUTHENTIC",
  "foreign-root": "TREE_NODE_NOT_AUTHENTIC",
  "foreign-metadata": "PATH_MISMATCH",
  "trunc-0": "LENGTH_NOT_NODES",
  "trunc-100": "LENGTH_NOT_NODES",
  "trunc-1-node": "TRUNCATED",
  "trunc-last-node": "TRUNCATED",
  "trunc-mid-node": "LENGTH_NOT_NODES",
  "extend-1": "LENGTH_NOT_NODES",
  "extend-node": "NODES_APPENDED",
  "small-extend-node": "NODES_APPENDED",
  "small-md": "METADATA_NOT_AUTHENTIC",
  "small-tail": "METADATA_NOT_AUTHENTIC",
  mht1: "TREE_NODE_NOT_AUTHENTIC",
  "mht1-data": "DATA_NODE_NOT_AUTHENTIC",
  "mht-swap": "TREE_NODE_NOT_AUTHENTIC",
  "data95-96-swap": "DATA_NODE_NOT_AUTHENTIC",
  // The format has no freshness; bundles have (generation and the digest of node 0).
  rollback: "opens",
  "rollback-mix-data": "DATA_NODE_NOT_AUTHENTIC",
  "rollback-mix-tree": "TREE_NODE_NOT_AUTHENTIC",
  "v2-control": "opens",
  "v2-major-1": "METADATA_PADDING_NOT_ZERO",
  "v2-pending-flag": "PENDING_WRITE",
  "v2-unknown-flag": "FEATURE_FLAGS_UNKNOWN",
  "v2-md-ct-first": "METADATA_NOT_AUTHENTIC",
  "v2-md-ct-last": "METADATA_NOT_AUTHENTIC",
  "v2-md-padding": "METADATA_PADDING_NOT_ZERO",
  "v2-data": "DATA_NODE_NOT_AUTHENTIC",
};

/** The one tolerance that opens what the default refuses with this code. */
const TOLERANCE_FOR: Partial<Record<ProtectedFileCode, Tolerance>> = {
  MINOR_VERSION_UNKNOWN: "minor-version",
  METADATA_PADDING_NOT_ZERO: "metadata-padding",
  NODES_APPENDED: "appended-nodes",
  PENDING_WRITE: "pending-write",
  FEATURE_FLAGS_UNKNOWN: "feature-flags",
};

test("all 51 recorded mutations are covered", () => {
  assert.equal(index.negative.cases.length, 51);
  assert.deepEqual(Object.keys(DEFAULTS).sort(), index.negative.cases.map((one) => one.name).sort());
});

forEachCipher((cipher) => {
  const open = (one: Mutation, tolerate: readonly Tolerance[]): Uint8Array => {
    return openFile(mutated(one), { wrapKey: vectorKey(one.key_hex), boundPath: one.path, tolerate, cipher });
  };

  suite("by default", () => {
    for (const one of index.negative.cases) {
      const expected = DEFAULTS[one.name] ?? "opens";
      test(`${one.name}: ${expected}`, () => {
        assert.equal(sha256Hex(mutated(one)), one.mutated_sha256, "the steps were applied as recorded");
        if (expected !== "opens") return throwsCode(() => open(one, []), expected);
        assert.equal(sha256Hex(open(one, [])), one.master.output_sha256);
      });
    }
  });

  suite("with the stock tolerances, as the tool of June 2025", () => {
    for (const one of index.negative.cases) {
      test(`${one.name}: exit ${one.master.rc}`, () => {
        if (one.master.rc === 0) assert.equal(sha256Hex(open(one, STOCK_TOLERANCES)), one.master.output_sha256);
        else assert.throws(() => open(one, STOCK_TOLERANCES), { name: "ProtectedFileError" });
      });
    }
  });

  suite("one tolerance opens one refusal", () => {
    for (const one of index.negative.cases) {
      const code = DEFAULTS[one.name];
      const tolerance = code === undefined || code === "opens" ? undefined : TOLERANCE_FOR[code];
      if (tolerance === undefined || one.master.rc !== 0) continue;
      test(`${one.name}: ${tolerance}`, () => {
        assert.equal(sha256Hex(open(one, [tolerance])), one.master.output_sha256);
        const others = STOCK_TOLERANCES.filter((other) => other !== tolerance);
        throwsCode(() => open(one, others), code as ProtectedFileCode);
      });
    }
  });
});
