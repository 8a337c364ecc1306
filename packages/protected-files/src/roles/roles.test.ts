import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { suite, test } from "node:test";
import { Secret, toHex, utf8 } from "@cloister/encoding";
import type { ProtectedFileCode } from "../errors.ts";
import { throwsCode } from "../rim/test-assert.ts";
import { sealFile } from "../seal.ts";
import { buildRoleBundle, checkRoleBundle } from "./roles.ts";

const wrapKey = new Secret(
  new Uint8Array(16).map((_, index) => index * 7 + 3),
  "wrap key",
);
const known = { wrapKeys: [wrapKey] };
const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const keyPem = utf8(privateKey.export({ type: "pkcs8", format: "pem" }) as string);
const modelPath = "models/digits/1/saved_model.pb";
const sealed = sealFile(utf8("model"), { wrapKey, boundPath: modelPath });
const certificate = utf8("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
const savedModel = new Uint8Array([0x08, 0x01, 0x12, 0x02, 0x0a, 0x00]);

const workspace = new Map<string, Uint8Array>([
  [modelPath, sealed],
  ["bundles/digits/1.json", utf8("{}")],
  ["certs/ca_cert.pem", certificate],
  ["certs/ca_key.pem", keyPem],
  ["certs/client/cert.pem", certificate],
  ["certs/client/key.pem", keyPem],
  ["certs/server/key.pem", keyPem],
  ["keys/wrap_key", wrapKey.reveal()],
  ["plaintext/saved_model.pb", savedModel],
  ["policy/policy.yaml", utf8("version: 1\n")],
]);

suite("role bundles", () => {
  test("a host gets sealed models and public certificates, no key and no plaintext", () => {
    const { files, leftOut } = buildRoleBundle("host", workspace, known);
    assert.deepEqual(
      [...files.keys()],
      ["bundles/digits/1.json", "certs/ca_cert.pem", "certs/client/cert.pem", modelPath],
    );
    assert.equal(files.size + leftOut.length, workspace.size);
  });

  test("a requester gets its own client key, and no other", () => {
    const { files } = buildRoleBundle("requester", workspace, known);
    assert.deepEqual(
      [...files.keys()],
      ["certs/ca_cert.pem", "certs/client/cert.pem", "certs/client/key.pem", "policy/policy.yaml"],
    );
  });

  test("the owner gets everything", () => {
    assert.equal(buildRoleBundle("owner", workspace, known).files.size, workspace.size);
  });
});

suite("leaks into a host bundle name the file", () => {
  const der = new Uint8Array(privateKey.export({ type: "sec1", format: "der" }));
  const hex = toHex(wrapKey.reveal());
  const cases: readonly (readonly [what: string, path: string, bytes: Uint8Array, code: ProtectedFileCode])[] = [
    ["a model that is not sealed", modelPath, savedModel, "ROLE_PLAINTEXT_MODEL"],
    ["any plaintext below models/", "models/digits/1/assets/labels.txt", utf8("zero"), "ROLE_PLAINTEXT_MODEL"],
    ["a sealed model cut short", modelPath, sealed.slice(0, 100), "ROLE_PLAINTEXT_MODEL"],
    ["a SavedModel elsewhere", "deploy/x.json", savedModel, "ROLE_PLAINTEXT_MODEL"],
    ["a private key as certificate", "certs/server/cert.pem", keyPem, "ROLE_PRIVATE_KEY"],
    [
      "a private key inside ssl.cfg text",
      "deploy/ssl.conf",
      utf8(`x: "${String(keyPem)}-----BEGIN EC PRIVATE KEY-----"`),
      "ROLE_PRIVATE_KEY",
    ],
    ["a private key in DER", "certs/x.crt", der, "ROLE_PRIVATE_KEY"],
    ["16 bytes on their own", "deploy/x.json", new Uint8Array(16), "ROLE_WRAP_KEY"],
    [
      "32 hexadecimal digits on their own",
      "deploy/x.yaml",
      utf8("00112233445566778899aabbccddeeff\n"),
      "ROLE_WRAP_KEY",
    ],
    [
      "the wrap key in a manifest, in hex",
      "enclave/m.manifest",
      utf8(`fs.insecure__keys.default = "${hex}"`),
      "ROLE_WRAP_KEY",
    ],
    [
      "the wrap key in base64",
      "deploy/secret.yaml",
      utf8(`key: ${Buffer.from(wrapKey.reveal()).toString("base64")}`),
      "ROLE_WRAP_KEY",
    ],
    [
      "the wrap key raw within a file",
      "enclave/m.sig",
      new Uint8Array([1, 2, ...wrapKey.reveal(), 3]),
      "ROLE_WRAP_KEY",
    ],
  ];
  for (const [what, path, bytes, code] of cases) {
    test(what, () => {
      throwsCode(() => buildRoleBundle("host", new Map([...workspace, [path, bytes]]), known), code, path);
    });
  }

  test("a plaintext known by digest, under an innocent name", async () => {
    const { createHash } = await import("node:crypto");
    const plaintextSha256 = new Set([createHash("sha256").update("labels").digest("hex")]);
    const files = new Map([["deploy/notes.json", utf8("labels")]]);
    throwsCode(() => buildRoleBundle("host", files, { plaintextSha256 }), "ROLE_PLAINTEXT_MODEL", "deploy/notes.json");
  });

  test("a file that is not on the list, when the caller built the bundle", () => {
    const files = new Map([["keys/wrap_key", wrapKey.reveal()]]);
    throwsCode(() => checkRoleBundle("host", files), "ROLE_FILE_NOT_ALLOWED", "keys/wrap_key");
    throwsCode(() => checkRoleBundle("requester", new Map([[modelPath, sealed]])), "ROLE_FILE_NOT_ALLOWED", modelPath);
  });

  test("a path that climbs", () => {
    throwsCode(() => checkRoleBundle("host", new Map([["models/../../x", sealed]])), "TREE_PATH_UNSAFE");
  });
});
