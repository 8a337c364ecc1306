import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { utf8 } from "@cloister/encoding";
import { EnclaveError } from "../errors.ts";
import { readGramineManifest } from "./gramine-manifest.ts";

describe("a Gramine manifest", () => {
  test("is read as far as the measurement depends on it", () => {
    const text = `
      libos.entrypoint = "tensorflow_model_server"
      [sgx]
      enclave_size = "4G"
      max_threads = 400
      debug = false
      isvprodid = 7
      isvsvn = 3
      cpu_features.avx512 = "required"
      cpu_features.amx = "unspecified"
      cpu_features.mpx = "disabled"
      [[fs.mounts]]
      path = "/lib"
    `;
    assert.deepEqual(readGramineManifest(utf8(text)), {
      dimensions: { enclaveSize: 4 * 2 ** 30, maxThreads: 400, edmm: false },
      isvProdId: 7,
      isvSvn: 3,
      debug: false,
      exinfo: false,
      cpuFeatures: { avx512: "required", mpx: "disabled" },
    });
  });

  test("has Gramine's defaults where it is silent", () => {
    const { dimensions } = readGramineManifest(utf8('libos.entrypoint = "a"'));
    assert.deepEqual(dimensions, { enclaveSize: 256 * 2 ** 20, maxThreads: 4, edmm: false });
    const withEdmm = readGramineManifest(utf8("sgx.edmm_enable = true")).dimensions;
    assert.deepEqual(withEdmm, { enclaveSize: 2 ** 40, maxThreads: 4, edmm: true });
  });

  for (const [what, text] of [
    ["text that is no TOML", "= ="],
    ["a size in words", 'sgx.enclave_size = "big"'],
    ["a number where a switch belongs", "sgx.debug = 1"],
    ["an unknown processor feature", 'sgx.cpu_features.avx1024 = "required"'],
    ["a processor feature left open that has to be decided", 'sgx.cpu_features.pkru = "unspecified"'],
    ["a product id beyond 16 bits", "sgx.isvprodid = 65536"],
  ] as const) {
    test(`is refused with ${what}`, () => {
      assert.throws(
        () => readGramineManifest(utf8(text)),
        (error) => error instanceof EnclaveError && error.code === "MANIFEST_INVALID",
      );
    });
  }
});
