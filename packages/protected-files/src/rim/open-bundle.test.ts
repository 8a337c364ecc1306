import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { copyFile, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { utf8 } from "@cloister/encoding";
import type { ProtectedFileCode } from "../errors.ts";
import { generateWrapKey } from "./key-file.ts";
import { openBundleTo, type OpenBundleToOptions, verifyBundleIn } from "./open-bundle.ts";
import { newestIssued, ownerSigningKey, recordIssued, takeGeneration } from "./owner-keys.ts";
import { reKeyBundleIn } from "./re-key-bundle.ts";
import { sealBundleTo } from "./seal-bundle.ts";
import { rejectsCode } from "./test-assert.ts";
import { inDirectory } from "./test-directory.ts";
import { readTree, writeTreeAtomically } from "./tree.ts";
import { WorkerPool } from "./worker-pool.ts";

const owner = generateKeyPairSync("ed25519");
const wrapKey = generateWrapKey();
const model = { name: "digits", version: 1 };
const files = new Map([
  ["saved_model.pb", utf8("graph")],
  ["variables/data", new Uint8Array(900_000).fill(3)],
]);

interface Bundle {
  readonly dir: string;
  readonly sealed: string;
  readonly older: string;
  readonly options: OpenBundleToOptions;
}

async function withSealed(use: (bundle: Bundle) => Promise<void>): Promise<void> {
  await inDirectory(async (dir) => {
    const [plain, sealed, older] = [join(dir, "plain"), join(dir, "sealed"), join(dir, "older")];
    await writeTreeAtomically(plain, files);
    const options = { model, wrapKey, signingKey: owner.privateKey };
    await sealBundleTo(plain, older, { ...options, generation: 1 });
    const manifest = await sealBundleTo(plain, sealed, { ...options, generation: 2 });
    const expect = { ...model, minimumGeneration: 2 };
    await use({ dir, sealed, older, options: { manifest, ownerKey: owner.publicKey, wrapKey, expect } });
  });
}

const workers = new WorkerPool(2);
after(() => workers.close());

for (const pool of [undefined, workers]) {
  const withBundle = (use: (bundle: Bundle) => Promise<void>): Promise<void> =>
    withSealed((bundle) => use({ ...bundle, options: { ...bundle.options, pool } }));
  suite(`a sealed directory, ${pool === undefined ? "on this thread" : "on two threads"}`, () => {
    test("opens into a directory that others cannot read, with progress to the end", () =>
      withBundle(async ({ dir, sealed, options }) => {
        const seen: number[] = [];
        const onProgress = (done: number, total: number): void => void seen.push(done / total);
        const manifest = await openBundleTo(sealed, join(dir, "out"), { ...options, onProgress });
        assert.equal(manifest.generation, 2);
        assert.equal(seen.at(-1), 1);
        assert.deepEqual(
          await readTree(join(dir, "out")),
          new Map([...files].map(([path, b]) => [path, Buffer.from(b)])),
        );
      }));

    const CHANGES: readonly (readonly [string, ProtectedFileCode, string, (bundle: Bundle) => Promise<void>])[] = [
      ["a file is gone", "BUNDLE_FILE_MISSING", "saved_model.pb", ({ sealed }) => rm(join(sealed, "saved_model.pb"))],
      ["there is one more", "BUNDLE_FILE_EXTRA", "more", ({ sealed }) => writeFile(join(sealed, "more"), "x")],
      [
        "a file has another name",
        "BUNDLE_FILE_RENAMED",
        "model.pb",
        ({ sealed }) => rename(join(sealed, "saved_model.pb"), join(sealed, "model.pb")),
      ],
      [
        "a file stands in for another",
        "BUNDLE_FILE_SWAPPED",
        "saved_model.pb",
        ({ sealed }) => copyFile(join(sealed, "variables/data"), join(sealed, "saved_model.pb")),
      ],
      [
        "a file of an older bundle was put back",
        "BUNDLE_FILE_OLDER",
        "variables/data",
        ({ sealed, older }) => copyFile(join(older, "variables/data"), join(sealed, "variables/data")),
      ],
      [
        "the last byte of a file is another",
        "BUNDLE_FILE_CHANGED",
        "variables/data",
        async ({ sealed }) => {
          const path = join(sealed, "variables/data");
          const bytes = await readFile(path);
          bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
          await writeFile(path, bytes);
        },
      ],
    ];
    for (const [what, code, subject, change] of CHANGES) {
      test(`is refused when ${what}, and leaves no plaintext`, () =>
        withBundle(async (bundle) => {
          await change(bundle);
          const { dir, sealed, options } = bundle;
          await rejectsCode(verifyBundleIn(sealed, options), code, subject);
          await rejectsCode(openBundleTo(sealed, join(dir, "out"), options), code, subject);
          assert.deepEqual((await readdir(dir)).sort(), ["older", "plain", "sealed"]);
        }));
    }

    for (const full of [false, true]) {
      test(`opens under the new key after a re-key, ${full ? "with new bodies" : "with the old bodies"}`, () =>
        withBundle(async ({ sealed, options }) => {
          const body = async (): Promise<Buffer> => (await readFile(join(sealed, "variables/data"))).subarray(4096);
          const before = await body();
          const newWrapKey = generateWrapKey();
          const reKey = { ...options, newWrapKey, signingKey: owner.privateKey, generation: 3, full };
          const manifest = await reKeyBundleIn(sealed, reKey);
          await verifyBundleIn(sealed, { ...options, manifest, wrapKey: newWrapKey });
          assert.equal(Buffer.compare(await body(), before) === 0, !full);
          await rejectsCode(verifyBundleIn(sealed, options), "BUNDLE_FILE_CHANGED", "saved_model.pb");
        }));
    }
  });
}

suite("the owner's folder of keys", () => {
  test("makes a signing key once", () =>
    inDirectory(async (dir) => {
      const [first, second] = [await ownerSigningKey(join(dir, "keys")), await ownerSigningKey(join(dir, "keys"))];
      assert.ok(first.equals(second));
    }));

  test("counts generations over all versions of a model, and remembers what was issued of each", () =>
    inDirectory(async (dir) => {
      assert.equal(await takeGeneration(dir, model), 1);
      assert.equal(await takeGeneration(dir, { ...model, version: 2 }), 2);
      assert.equal(await takeGeneration(dir, model, 9), 9);
      await rejectsCode(takeGeneration(dir, model, 9), "GENERATION_NOT_NEWER", "9");
      assert.equal(await takeGeneration(dir, { name: "other", version: 1 }), 1);
      assert.equal(await newestIssued(dir, model), 0);
      await recordIssued(dir, model, 9);
      assert.equal(await newestIssued(dir, model), 9);
      await writeFile(join(dir, "digits.generation"), "-1\n");
      await rejectsCode(takeGeneration(dir, model), "GENERATION_RECORD_MALFORMED");
    }));
});
