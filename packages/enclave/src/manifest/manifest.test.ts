import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { utf8 } from "@cloister/encoding";
import { EnclaveError } from "../errors.ts";
import { acceptHostOptions } from "./host-options.ts";
import { decodeManifest, encodeManifest, type EnclaveManifest } from "./manifest.ts";
import { measureSimulated } from "./measure.ts";

const manifest: EnclaveManifest = {
  format: "cloister-enclave/1",
  entrypoint: "packages/enclave/src/replica/main.ts",
  trustedFiles: { "packages/enclave/src/replica/main.ts": "ab".repeat(32) },
  config: {
    model: { name: "digits", version: 1 },
    broker: { serverName: "attestation.service.com", caPem: "PEM", logKey: "AAAA" },
    engineThreads: 1,
  },
  isvProdId: 0,
  isvSvn: 0,
};
const hasCode = (code: string) => (error: unknown) => error instanceof EnclaveError && error.code === code;

describe("the enclave manifest", () => {
  test("survives a round trip", () => {
    assert.deepEqual(decodeManifest(encodeManifest(manifest)), manifest);
  });

  test("has one measurement, whatever the order of its keys", () => {
    const reordered = Object.fromEntries(Object.entries(manifest).reverse()) as unknown as EnclaveManifest;
    assert.deepEqual(measureSimulated(reordered), measureSimulated(manifest));
  });

  for (const [what, changed] of [
    ["one file's digest", { ...manifest, trustedFiles: { [manifest.entrypoint]: "ac".repeat(32) } }],
    ["another file", { ...manifest, trustedFiles: { ...manifest.trustedFiles, "x.ts": "ab".repeat(32) } }],
    ["the model version", { ...manifest, config: { ...manifest.config, model: { name: "digits", version: 2 } } }],
    [
      "the broker's authority",
      { ...manifest, config: { ...manifest.config, broker: { ...manifest.config.broker, caPem: "OTHER" } } },
    ],
    ["the security version", { ...manifest, isvSvn: 1 }],
  ] as const) {
    test(`is measured differently with ${what} changed`, () => {
      assert.notDeepEqual(measureSimulated(changed), measureSimulated(manifest));
    });
  }

  for (const [what, text] of [
    ["text that is not JSON", "{"],
    ["an unknown key", JSON.stringify({ ...manifest, tls: "off" })],
    ["an entry point that is not trusted", JSON.stringify({ ...manifest, entrypoint: "elsewhere.ts" })],
    ["a digest that is not one", JSON.stringify({ ...manifest, trustedFiles: { [manifest.entrypoint]: "ab" } })],
    ["a duplicate key", `{"format":"cloister-enclave/1",${JSON.stringify(manifest).slice(1)}`],
  ] as const) {
    test(`is refused with ${what}`, () => {
      assert.throws(() => decodeManifest(utf8(text)), hasCode("MANIFEST_INVALID"));
    });
  }
});

describe("what the host may choose", () => {
  const options = {
    replicaId: "replica-1",
    brokerAddresses: [{ host: "127.0.0.1", port: 4433 }],
    sealedDir: "/sealed",
    listen: { host: "0.0.0.0", port: 8500 },
  };

  test("addresses, the sealed folder and a label", () => {
    assert.deepEqual(acceptHostOptions(options), options);
  });

  for (const [what, value] of [
    ["an option that turns TLS off", { ...options, insecure: true }],
    ["a certificate authority", { ...options, caPem: "PEM" }],
    ["a port outside of the range", { ...options, listen: { host: "0.0.0.0", port: 70_000 } }],
    ["no broker", { ...options, brokerAddresses: [] }],
    ["a label with a line break", { ...options, replicaId: "a\nb" }],
    ["nothing", undefined],
  ] as const) {
    test(`not ${what}`, () => {
      assert.throws(() => acceptHostOptions(value), hasCode("HOST_OPTION_REFUSED"));
    });
  }
});
