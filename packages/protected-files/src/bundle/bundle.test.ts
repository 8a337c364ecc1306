import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { suite, test } from "node:test";
import { Secret, utf8 } from "@cloister/encoding";
import { NODE_BYTES } from "../tree.ts";
import { forEachCipher } from "../rim/test-ciphers.ts";
import { throwsCode } from "../rim/test-assert.ts";
import { sealFile } from "../seal.ts";
import { decodeBundleManifest, encodeBundleManifest, type SignedBundleManifest } from "./manifest.ts";
import { bundleBoundPath } from "./names.ts";
import { openBundle, type OpenBundleOptions } from "./open.ts";
import { reKeyBundle } from "./re-key.ts";
import { sealBundle, signBundleManifest } from "./seal.ts";

const owner = generateKeyPairSync("ed25519");
const wrapKey = new Secret(new Uint8Array(16).fill(7), "test wrap key");
const model = { name: "digits", version: 3 };
const plain = new Map([
  ["saved_model.pb", utf8("graph".repeat(3000))],
  ["variables/variables.index", utf8("index")],
  ["variables/variables.data-00000-of-00001", new Uint8Array(9000).fill(1)],
  ["assets/deep/labels.txt", utf8("zero\none\n")],
]);

const bytesOf = (files: ReadonlyMap<string, Uint8Array>, path: string): Uint8Array =>
  files.get(path) ?? assert.fail(path);

function flipped(bytes: Uint8Array, offset: number): Uint8Array {
  const copy = bytes.slice();
  copy[offset] = (copy[offset] ?? 0) ^ 1;
  return copy;
}

forEachCipher((cipher) => {
  const sealAt = (generation: number, files = plain) =>
    sealBundle({ files, model, generation, wrapKey, signingKey: owner.privateKey, cipher });
  const current = sealAt(5);
  const older = sealAt(4);

  const open = (change: Partial<OpenBundleOptions> = {}): ReturnType<typeof openBundle> =>
    openBundle({
      ...current,
      ownerKey: owner.publicKey,
      wrapKey,
      cipher,
      expect: { name: "digits", version: 3, minimumGeneration: 5 },
      ...change,
    });

  /** The current sealed files after a change. */
  const withFiles = (change: (files: Map<string, Uint8Array>) => void): { sealed: Map<string, Uint8Array> } => {
    const sealed = new Map(current.sealed);
    change(sealed);
    return { sealed };
  };

  suite("a bundle", () => {
    test("opens to what was sealed, at any depth", () => {
      const opened = open();
      assert.deepEqual(opened.model, model);
      assert.equal(opened.generation, 5);
      assert.deepEqual(opened.files, plain);
    });

    test("survives the manifest's codec byte for byte", () => {
      const bytes = encodeBundleManifest(current.manifest);
      const decoded = decodeBundleManifest(bytes);
      assert.deepEqual(encodeBundleManifest(decoded), bytes);
      assert.equal(open({ manifest: decoded }).files.size, 4);
    });

    test("binds each file to models/NAME/VERSION/PATH", () => {
      assert.equal(bundleBoundPath(model, "assets/deep/labels.txt"), "models/digits/3/assets/deep/labels.txt");
    });

    test("accepts a newer generation than the minimum, and any version where none is expected", () => {
      assert.equal(open({ expect: { name: "digits", minimumGeneration: 0 } }).generation, 5);
    });
  });

  suite("a re-keyed bundle", () => {
    const newWrapKey = new Secret(new Uint8Array(16).fill(8), "new wrap key");
    const options = { ...current, ownerKey: owner.publicKey, wrapKey, newWrapKey, signingKey: owner.privateKey };
    const expect = { name: "digits", version: 3, minimumGeneration: 5 };

    test("opens under the new key in the next generation, with the same bodies", () => {
      const fresh = reKeyBundle({ ...options, expect });
      const opened = open({ ...fresh, wrapKey: newWrapKey, expect: { ...expect, minimumGeneration: 6 } });
      assert.equal(opened.generation, 6);
      assert.deepEqual(opened.files, plain);
      for (const [path, bytes] of fresh.sealed) {
        assert.deepEqual(bytes.subarray(NODE_BYTES), current.sealed.get(path)?.subarray(NODE_BYTES));
      }
      throwsCode(() => open({ ...fresh, expect: { ...expect, minimumGeneration: 6 } }), "BUNDLE_FILE_CHANGED");
    });

    test("is not made of a bundle that does not verify", () => {
      const sealed = new Map([...current.sealed, ["extra", new Uint8Array(NODE_BYTES)] as const]);
      throwsCode(() => reKeyBundle({ ...options, sealed, expect }), "BUNDLE_FILE_EXTRA");
    });
  });

  suite("refusals by name", () => {
    const path = "saved_model.pb";

    test("a missing file", () => {
      throwsCode(() => open(withFiles((files) => files.delete(path))), "BUNDLE_FILE_MISSING", path);
    });

    test("an extra file", () => {
      const change = withFiles((files) => files.set("assets/extra", bytesOf(files, path)));
      throwsCode(() => open(change), "BUNDLE_FILE_EXTRA", "assets/extra");
    });

    test("a renamed file", () => {
      const change = withFiles((files) => {
        files.set("saved_model.pbtxt", bytesOf(files, path));
        files.delete(path);
      });
      throwsCode(() => open(change), "BUNDLE_FILE_RENAMED", "saved_model.pbtxt");
    });

    test("two files exchanged", () => {
      const other = "variables/variables.index";
      const change = withFiles((files) => {
        const first = bytesOf(files, path);
        files.set(path, bytesOf(files, other));
        files.set(other, first);
      });
      throwsCode(() => open(change), "BUNDLE_FILE_SWAPPED", path);
    });

    test("a genuine file of another model under the same key", () => {
      const foreign = sealFile(utf8("other"), { wrapKey, boundPath: "models/letters/1/saved_model.pb" });
      throwsCode(() => open(withFiles((files) => files.set(path, foreign))), "BUNDLE_FILE_SWAPPED", path);
    });

    test("a genuine file of an older sealing", () => {
      const change = withFiles((files) => files.set(path, bytesOf(older.sealed, path)));
      throwsCode(() => open(change), "BUNDLE_FILE_OLDER", path);
    });

    test("a whole older bundle", () => {
      throwsCode(() => open(older), "BUNDLE_GENERATION_TOO_OLD");
    });

    test("a minimum generation that is not a number", () => {
      throwsCode(
        () => open({ expect: { name: "digits", minimumGeneration: Number.NaN } }),
        "BUNDLE_GENERATION_TOO_OLD",
      );
    });

    for (const [what, offset] of [
      ["first byte", 0],
      ["metadata", 100],
      ["padding of the metadata", NODE_BYTES - 1],
      ["hash tree", NODE_BYTES + 3],
      ["data", 2 * NODE_BYTES + 3],
    ] as const) {
      test(`a file changed in its ${what}`, () => {
        const change = withFiles((files) => files.set(path, flipped(bytesOf(files, path), offset)));
        throwsCode(() => open(change), "BUNDLE_FILE_CHANGED", path);
      });
    }

    test("a file cut short, emptied or extended", () => {
      for (const bytes of [current.sealed.get(path)?.slice(0, -NODE_BYTES), new Uint8Array()]) {
        const change = withFiles((files) => files.set(path, bytes ?? assert.fail()));
        throwsCode(() => open(change), "BUNDLE_FILE_CHANGED", path);
      }
      const longer = new Uint8Array(Buffer.concat([bytesOf(current.sealed, path), new Uint8Array(NODE_BYTES)]));
      throwsCode(() => open(withFiles((files) => files.set(path, longer))), "BUNDLE_FILE_CHANGED", path);
    });

    test("another wrap key", () => {
      const other = new Secret(new Uint8Array(16), "other key");
      throwsCode(() => open({ wrapKey: other }), "BUNDLE_FILE_CHANGED");
    });
  });

  suite("refusals by manifest", () => {
    const forge = (change: (manifest: SignedBundleManifest["manifest"]) => SignedBundleManifest["manifest"]) => ({
      manifest: { ...current.manifest, manifest: change(current.manifest.manifest) },
    });

    test("another owner's signature", () => {
      const { publicKey } = generateKeyPairSync("ed25519");
      throwsCode(() => open({ ownerKey: publicKey }), "BUNDLE_SIGNATURE_INVALID");
    });

    test("any signed field changed", () => {
      throwsCode(() => open(forge((manifest) => ({ ...manifest, generation: 6 }))), "BUNDLE_SIGNATURE_INVALID");
      throwsCode(
        () => open(forge((manifest) => ({ ...manifest, model: { ...model, version: 4 } }))),
        "BUNDLE_SIGNATURE_INVALID",
      );
      throwsCode(
        () => open(forge((manifest) => ({ ...manifest, files: manifest.files.slice(1) }))),
        "BUNDLE_SIGNATURE_INVALID",
      );
    });

    test("a signed manifest of the owner whose digest does not fit the content", () => {
      const files = current.manifest.manifest.files.map((file) => ({ ...file, sha256: "00".repeat(32) }));
      const manifest = signBundleManifest({ ...current.manifest.manifest, files }, owner.privateKey);
      throwsCode(() => open({ manifest }), "BUNDLE_FILE_CHANGED");
    });

    test("another model or version", () => {
      throwsCode(() => open({ expect: { name: "letters", minimumGeneration: 0 } }), "BUNDLE_MODEL_MISMATCH");
      throwsCode(
        () => open({ expect: { name: "digits", version: 2, minimumGeneration: 0 } }),
        "BUNDLE_VERSION_MISMATCH",
      );
    });

    test("keys that are not Ed25519", () => {
      const rsa = generateKeyPairSync("ec", { namedCurve: "P-256" });
      throwsCode(() => open({ ownerKey: rsa.publicKey }), "BUNDLE_KEY_UNSUITABLE");
      throwsCode(() => open({ ownerKey: owner.privateKey }), "BUNDLE_KEY_UNSUITABLE");
      const options = { files: plain, model, generation: 1, wrapKey };
      throwsCode(() => sealBundle({ ...options, signingKey: rsa.privateKey }), "BUNDLE_KEY_UNSUITABLE");
    });

    test("bundles that cannot be sealed", () => {
      const options = { files: plain, model, generation: 1, wrapKey, signingKey: owner.privateKey };
      throwsCode(() => sealBundle({ ...options, files: new Map() }), "BUNDLE_EMPTY");
      throwsCode(() => sealBundle({ ...options, model: { name: "../up", version: 1 } }), "BUNDLE_MODEL_INVALID");
      throwsCode(() => sealBundle({ ...options, generation: -1 }), "BUNDLE_MODEL_INVALID");
      for (const path of ["../a", "/a", "a//b", "a/./b", "a\nb", ""]) {
        throwsCode(() => sealBundle({ ...options, files: new Map([[path, utf8("x")]]) }), "TREE_PATH_UNSAFE", path);
      }
    });
  });
});
