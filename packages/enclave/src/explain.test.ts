import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@cloister/encoding";
import { explainDifference } from "./explain.ts";
import { encodeManifest, type EnclaveManifest } from "./manifest/manifest.ts";

const gramine = (size: string, ...files: readonly (readonly [string, string])[]): Uint8Array =>
  utf8(
    `sgx.enclave_size = "${size}"\nlibos.entrypoint = "a"\nsgx.trusted_files = [${files
      .map(([uri, sha256]) => `{ uri = "${uri}", sha256 = "${sha256}" }`)
      .join(", ")}]\n`,
  );

test("keys and trusted files that differ are named", () => {
  const before = gramine("1G", ["file:a", "1"], ["file:b", "2"], ["file:c", "3"]);
  const after = gramine("2G", ["file:a", "1"], ["file:c", "4"], ["file:d", "5"]);
  assert.deepEqual(explainDifference(before, after), {
    identical: false,
    isFormattingOnly: false,
    keys: [{ key: "sgx.enclave_size", before: '"1G"', after: '"2G"' }],
    files: [
      { file: "file:b", change: "removed" },
      { file: "file:c", change: "changed" },
      { file: "file:d", change: "added" },
    ],
  });
});

test("the same bytes, and other bytes that say the same, are told apart", () => {
  const one = gramine("1G", ["file:a", "1"]);
  assert.equal(explainDifference(one, one).identical, true);
  const commented = new Uint8Array([...utf8("# a comment\n"), ...one]);
  const { identical, isFormattingOnly } = explainDifference(one, commented);
  assert.deepEqual({ identical, isFormattingOnly }, { identical: false, isFormattingOnly: true });
});

test("our own manifests are compared file by file too", () => {
  const manifest = (threads: number, digest: string): Uint8Array =>
    encodeManifest({
      format: "cloister-enclave/1",
      entrypoint: "main.ts",
      trustedFiles: { "main.ts": digest.repeat(64) },
      config: {
        model: { name: "m", version: 1 },
        broker: { serverName: "b", caPem: "c", logKey: "AAAA" },
        engineThreads: threads,
      },
      isvProdId: 0,
      isvSvn: 0,
    } satisfies EnclaveManifest);
  const { keys, files } = explainDifference(manifest(1, "a"), manifest(2, "b"));
  assert.deepEqual(keys, [{ key: "config.engineThreads", before: "1", after: "2" }]);
  assert.deepEqual(files, [{ file: "main.ts", change: "changed" }]);
});

test("what is no manifest is refused", () => {
  for (const text of ["{}", "=", "["]) {
    assert.throws(() => explainDifference(utf8(text), utf8(text)), { code: "MANIFEST_INVALID" });
  }
});
