import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { fromUtf8, Secret, utf8 } from "@cloister/encoding";
import { throwsCode } from "../rim/test-assert.ts";
import { decodeBundleManifest, encodeBundleManifest } from "./manifest.ts";
import { sealBundle } from "./seal.ts";

const { manifest } = sealBundle({
  files: new Map([
    ["a", utf8("1")],
    ["b", utf8("2")],
  ]),
  model: { name: "m", version: 1 },
  generation: 1,
  wrapKey: new Secret(new Uint8Array(16), "test wrap key"),
  signingKey: generateKeyPairSync("ed25519").privateKey,
});
const good = fromUtf8(encodeBundleManifest(manifest)) ?? assert.fail();

const CHANGES: Readonly<Record<string, (text: string) => string>> = {
  "an empty text": () => "",
  "text that is not JSON": (text) => text.slice(0, -1),
  "trailing bytes": (text) => `${text} `,
  "white space": (text) => text.replace(":", ": "),
  "an array": (text) => `[${text}]`,
  "another type": (text) => text.replace("cloister-bundle/1", "cloister-bundle/2"),
  "an unknown member": (text) => text.replace('"generation":1', '"extra":1,"generation":1'),
  "a member left out": (text) => text.replace('"generation":1,', ""),
  "a member twice": (text) => text.replace('"generation":1', '"generation":1,"generation":1'),
  "a fraction as generation": (text) => text.replace('"generation":1', '"generation":1.5'),
  "a negative version": (text) => text.replace('"version":1', '"version":-1'),
  "a version as text": (text) => text.replace('"version":1', '"version":"1"'),
  "a model name with a slash": (text) => text.replace('"name":"m"', '"name":"m/n"'),
  "a path that climbs": (text) => text.replace('"path":"a"', '"path":"../a"'),
  "an absolute path": (text) => text.replace('"path":"a"', '"path":"/a"'),
  "a path twice": (text) => text.replace('"path":"b"', '"path":"a"'),
  "paths out of order": (text) => text.replace('"path":"a"', '"path":"c"'),
  "a digest in capitals": (text) => text.replace(/"sha256":"[0-9a-f]{64}"/, `"sha256":"${"AB".repeat(32)}"`),
  "a short digest": (text) => text.replace(/"sha256":"[0-9a-f]{2}/, '"sha256":"'),
  "a short tag": (text) => text.replace(/"metadataTag":"[0-9a-f]{2}/, '"metadataTag":"'),
  "a size past the format": (text) => text.replace('"sizeBytes":1', '"sizeBytes":9007199254740991'),
  "a signature that is not base64": (text) => text.replace(/"signature":"./, '"signature":"*'),
  "a short signature": (text) => text.replace(/"signature":".{4}/, '"signature":"'),
  "no files": (text) => text.replace(/"files":\[.*\],"gen/, '"files":[],"gen'),
};

for (const [what, change] of Object.entries(CHANGES)) {
  test(`${what} is refused`, () => {
    const text = change(good);
    assert.notEqual(text, good, "the change applies");
    throwsCode(() => decodeBundleManifest(utf8(text)), "BUNDLE_MANIFEST_MALFORMED");
  });
}

test("bytes that are not UTF-8 are refused", () => {
  throwsCode(() => decodeBundleManifest(new Uint8Array([0xff])), "BUNDLE_MANIFEST_MALFORMED");
});
