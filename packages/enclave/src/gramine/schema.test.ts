import assert from "node:assert/strict";
import { test } from "node:test";
import { GramineSchema } from "./schema.ts";

const DIGEST = "0a".repeat(32);
const manifest = (trusted: readonly unknown[]): unknown => ({
  libos: { entrypoint: "/a" },
  loader: { entrypoint: { uri: "file:/gramine/libsysdb.so" } },
  fs: { mounts: [] },
  sgx: { trusted_files: trusted },
});
const isTaken = (...trusted: readonly unknown[]): boolean => GramineSchema.safeParse(manifest(trusted)).success;

test("a trusted folder has no digest, since its files are measured one by one", () => {
  assert.ok(isTaken("file:lib/", { uri: "file:lib/" }));
  assert.ok(!isTaken({ uri: "file:lib/", sha256: DIGEST }));
});

test("a trusted file may be named twice, with one digest", () => {
  const measured = { uri: "file:a", sha256: DIGEST };
  assert.ok(isTaken("file:a", measured, { ...measured, sha256: DIGEST.toUpperCase() }));
  assert.ok(!isTaken(measured, { ...measured, sha256: "0b".repeat(32) }));
});

test("a trusted file has a URI of the kind that Gramine can hash", () => {
  assert.ok(isTaken("{{ gramine.libos }}"), "a template may have it from an expression");
  for (const uri of ["a", "dev:tty", "file:", ""]) assert.ok(!isTaken(uri), uri);
});
