import assert from "node:assert/strict";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { openFile } from "../open.ts";
import { sealFile } from "../seal.ts";
import { reEncryptFile, reKeyFile, repairReKey } from "./re-key-file.ts";
import { rejectsCode, throwsCode } from "./test-assert.ts";
import { inDirectory } from "./test-directory.ts";
import { vectorKey, vectorPlaintext } from "./test-vectors.ts";
import { WorkerPool } from "./worker-pool.ts";

const wrapKey = vectorKey("00112233445566778899aabbccddeeff");
const newWrapKey = vectorKey("ffeeddccbbaa99887766554433221100");
const boundPath = "models/m/1/x";
const options = { wrapKey, newWrapKey, boundPath };
const plaintext = vectorPlaintext("re-key", 0, 500_000);

/** A directory with one sealed file in it. */
function withSealed(
  formatVersion: "1.0" | "2.0",
  use: (path: string, sealed: Uint8Array, dir: string) => Promise<void>,
): Promise<void> {
  return inDirectory(async (dir) => {
    const path = join(dir, "file");
    const sealed = sealFile(plaintext, { wrapKey, boundPath, formatVersion });
    await writeFile(path, sealed);
    await use(path, sealed, dir);
  });
}

const read = async (path: string): Promise<Uint8Array> => new Uint8Array(await readFile(path));

suite("re-key", () => {
  for (const formatVersion of ["1.0", "2.0"] as const) {
    test(`rewrites node 0 only (format ${formatVersion})`, () =>
      withSealed(formatVersion, async (path, before, dir) => {
        await reKeyFile(path, options);
        const after = await read(path);
        assert.deepEqual(after.subarray(4096), before.subarray(4096), "the body is byte-identical");
        assert.notDeepEqual(after.subarray(10, 42), before.subarray(10, 42), "the nonce is fresh");
        assert.deepEqual(openFile(after, { wrapKey: newWrapKey, boundPath }), plaintext);
        throwsCode(() => openFile(after, { wrapKey, boundPath }), "METADATA_NOT_AUTHENTIC");
        assert.equal(after[8], before[8]);
        assert.deepEqual(await readdir(dir), ["file"]);
      }));
  }

  test("changes nothing under a wrong key or path", () =>
    withSealed("1.0", async (path, before) => {
      await rejectsCode(reKeyFile(path, { ...options, wrapKey: newWrapKey }), "METADATA_NOT_AUTHENTIC");
      await rejectsCode(reKeyFile(path, { ...options, boundPath: "b" }), "PATH_MISMATCH");
      assert.deepEqual(await read(path), before);
    }));

  test("a torn node 0 is put back from the copy beside it", () =>
    withSealed("1.0", async (path, before, dir) => {
      await writeFile(join(dir, ".file.re-key"), before.subarray(0, 4096));
      const torn = before.slice();
      torn.fill(0xee, 1000, 2000);
      await writeFile(path, torn);
      await repairReKey(path, options);
      assert.deepEqual(await read(path), before);
      assert.deepEqual(await readdir(dir), ["file"]);
    }));

  test("a copy that is not this file's is not put back", () =>
    withSealed("1.0", async (path, before, dir) => {
      const foreign = sealFile(plaintext, { wrapKey, boundPath: "other" });
      await writeFile(join(dir, ".file.re-key"), foreign.subarray(0, 4096));
      const torn = before.slice();
      torn.fill(0xee, 1000, 2000);
      await writeFile(path, torn);
      await rejectsCode(repairReKey(path, options), "PATH_MISMATCH");
      assert.deepEqual(await read(path), torn);
    }));
});

const pool = new WorkerPool(2);
after(() => pool.close());

for (const threads of [undefined, pool]) {
  suite(`full re-encryption, ${threads === undefined ? "on this thread" : "on two threads"}`, () => {
    test("changes every node, and keeps content, path and format", () =>
      withSealed("2.0", async (path, before, dir) => {
        await reEncryptFile(path, { ...options, pool: threads });
        const after = await read(path);
        assert.equal(after.length, before.length);
        for (let at = 0; at < after.length; at += 4096) {
          assert.notDeepEqual(after.subarray(at, at + 4096), before.subarray(at, at + 4096));
        }
        assert.equal(after[8], 2);
        assert.deepEqual(openFile(after, { wrapKey: newWrapKey, boundPath }), plaintext);
        assert.deepEqual(await readdir(dir), ["file"]);
      }));

    test("a damaged file is refused and kept", () =>
      withSealed("1.0", async (path, before, dir) => {
        before[4096 * 120] = (before[4096 * 120] ?? 0) ^ 1;
        await writeFile(path, before);
        await rejectsCode(reEncryptFile(path, { ...options, pool: threads }), "DATA_NODE_NOT_AUTHENTIC");
        assert.deepEqual(await read(path), before);
        assert.deepEqual(await readdir(dir), ["file"]);
        await truncate(path, 4096);
        await rejectsCode(reEncryptFile(path, { ...options, pool: threads }), "TRUNCATED");
      }));
  });
}
