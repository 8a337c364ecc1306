import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Secret, utf8 } from "@cloister/encoding";
import { inspectFile } from "./inspect.ts";
import { encryptMetadata, sealMetadata } from "./metadata.ts";
import { ANY_PATH, openFile } from "./open.ts";
import { throwsCode } from "./rim/test-assert.ts";
import { sealFile } from "./seal.ts";
import { treeShape } from "./tree.ts";

// Files that a holder of the key could make, and calls that cannot be served.

const wrapKey = new Secret(new Uint8Array(16).fill(9), "test wrap key");
const PATH_FIELD = 772;

/** Node 0 with a chosen decrypted part. */
function nodeZero(change: (plain: Uint8Array) => void): Uint8Array {
  const plain = new Uint8Array(3884);
  plain.set(utf8("a/b"));
  change(plain);
  return encryptMetadata(plain, { wrapKey });
}

suite("authentic metadata that makes no sense", () => {
  test("a path without an end", () => {
    const node = nodeZero((plain) => plain.fill(0x61, 0, PATH_FIELD));
    throwsCode(() => openFile(node, { wrapKey, boundPath: ANY_PATH }), "PATH_MALFORMED");
  });

  test("a path that is not UTF-8", () => {
    const node = nodeZero((plain) => plain.fill(0xff, 0, 3));
    throwsCode(() => openFile(node, { wrapKey, boundPath: ANY_PATH }), "PATH_MALFORMED");
  });

  test("bytes after the end of the path do not count", () => {
    const node = nodeZero((plain) => plain.fill(0x61, 10, 20));
    assert.equal(openFile(node, { wrapKey, boundPath: "a/b" }).length, 0);
  });

  test("a size no file can have", () => {
    const node = nodeZero((plain) => plain.fill(0xff, PATH_FIELD, PATH_FIELD + 8));
    throwsCode(() => openFile(node, { wrapKey, boundPath: "a/b" }), "SIZE_OUT_OF_RANGE");
  });

  test("a size of terabytes in a file of one node allocates nothing", () => {
    const node = nodeZero((plain) => plain.set([1], PATH_FIELD + 5));
    throwsCode(() => openFile(node, { wrapKey, boundPath: "a/b" }), "TRUNCATED");
  });

  test("stale root fields in a small file are not read", () => {
    const head = new Uint8Array(3072);
    const metadata = { boundPath: "a", sizeBytes: 5, rootEntry: new Uint8Array(32).fill(1), head };
    assert.equal(openFile(sealMetadata(metadata, { wrapKey }), { wrapKey, boundPath: "a" }).length, 5);
  });
});

suite("calls that cannot be served", () => {
  test("wrap keys of another length than 16", () => {
    for (const length of [0, 15, 17, 32]) {
      const wrong = new Secret(new Uint8Array(length), "wrong");
      throwsCode(() => sealFile(new Uint8Array(), { wrapKey: wrong, boundPath: "a" }), "WRAP_KEY_LENGTH");
      const sealed = sealFile(new Uint8Array(), { wrapKey, boundPath: "a" });
      throwsCode(() => openFile(sealed, { wrapKey: wrong, boundPath: "a" }), "WRAP_KEY_LENGTH");
    }
  });

  test("sizes that are not whole numbers in range", () => {
    for (const size of [-1, 0.5, Number.NaN, Infinity, 2 ** 53]) throwsCode(() => treeShape(size), "SIZE_OUT_OF_RANGE");
  });

  test("messages hold neither key nor content, and a hostile name only escaped", () => {
    const secretKey = new Secret(utf8("0123456789abcdef"), "k");
    const sealed = sealFile(utf8("content"), { wrapKey: secretKey, boundPath: "a" });
    assert.throws(
      () => openFile(sealed, { wrapKey, boundPath: "a" }),
      (error) => {
        assert.doesNotMatch(String(error), /0123456789|content/);
        return true;
      },
    );
  });
});

suite("inspection", () => {
  const sealed = sealFile(new Uint8Array(400_000), { wrapKey, boundPath: "models/m/1/x", formatVersion: "2.0" });

  test("without a key shows the clear header only", () => {
    const seen = inspectFile(sealed.subarray(0, 4096), sealed.length);
    assert.equal(seen.formatVersion, "2.0");
    assert.equal(seen.nodes, 100);
    assert.equal(seen.verified, undefined);
    assert.deepEqual(seen.oddities, []);
  });

  test("with the key shows path, size and tree", () => {
    const seen = inspectFile(sealed.subarray(0, 4096), sealed.length, wrapKey);
    assert.deepEqual(seen.verified, {
      boundPath: "models/m/1/x",
      sizeBytes: 400_000,
      dataNodes: 97,
      mhtNodes: 2,
      depth: 2,
      appendedNodes: 0,
    });
  });

  test("names what the format does not authenticate", () => {
    const odd = new Uint8Array(Buffer.concat([sealed, new Uint8Array(4096)]));
    odd[9] = 1;
    odd[58] = 0x81;
    odd[4095] = 1;
    const seen = inspectFile(odd.subarray(0, 4096), odd.length, wrapKey);
    assert.deepEqual(seen.oddities, [
      "minor-version",
      "pending-write",
      "feature-flags",
      "metadata-padding",
      "appended-nodes",
    ]);
  });
});
