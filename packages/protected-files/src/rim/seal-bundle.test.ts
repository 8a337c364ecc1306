import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { utf8 } from "@cloister/encoding";
import { openBundle } from "../bundle/open.ts";
import { generateWrapKey } from "./key-file.ts";
import { sealBundleTo } from "./seal-bundle.ts";
import { rejectsCode } from "./test-assert.ts";
import { inDirectory } from "./test-directory.ts";
import { readTree, writeTreeAtomically } from "./tree.ts";

const owner = generateKeyPairSync("ed25519");
const wrapKey = generateWrapKey();
const model = { name: "digits", version: 1 };
const options = { model, generation: 2, wrapKey, signingKey: owner.privateKey };
const files = new Map([
  ["saved_model.pb", utf8("graph")],
  ["variables/variables.data-00000-of-00001", new Uint8Array(500_000).fill(3)],
]);

suite("bundles from directory to directory", () => {
  test("open as those sealed in memory do", () =>
    inDirectory(async (dir) => {
      const [input, output] = [join(dir, "in"), join(dir, "out")];
      await writeTreeAtomically(input, files);
      const seen: number[] = [];
      const onProgress = (done: number, total: number): void => void seen.push(done / total);
      const manifest = await sealBundleTo(input, output, { ...options, onProgress });
      assert.equal(seen.at(-1), 1);
      const sealed = await readTree(output);
      const expect = { ...model, minimumGeneration: 2 };
      const opened = openBundle({ sealed, manifest, ownerKey: owner.publicKey, wrapKey, expect });
      assert.deepEqual(opened.files, files);
    }));

  test("leave nothing behind when they cannot be made", () =>
    inDirectory(async (dir) => {
      const [input, output] = [join(dir, "in"), join(dir, "out")];
      await rejectsCode(sealBundleTo(input, output, options), "INPUT_MISSING", input);
      await writeTreeAtomically(input, files);
      await rejectsCode(sealBundleTo(input, output, { ...options, generation: -1 }), "BUNDLE_MODEL_INVALID");
      const stopped = { ...options, signal: AbortSignal.abort() };
      await rejectsCode(sealBundleTo(input, output, stopped), "ABORTED");
      await rejectsCode(sealBundleTo(input, input, options), "OUTPUT_EXISTS", input);
      assert.deepEqual(await readdir(dir), ["in"]);
    }));
});
