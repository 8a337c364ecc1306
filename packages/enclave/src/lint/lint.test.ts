import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fromUtf8, utf8 } from "@cloister/encoding";
import { parse } from "smol-toml";
import { GramineSchema } from "../gramine/schema.ts";
import { lintManifest } from "./lint.ts";
import { normalPath } from "./path.ts";
import { LINT_RULES } from "./rules.ts";
import { ANOLIS_TEMPLATE, DEFAULT_TEMPLATE, FIRST_TEMPLATE, TENCENT_TOML } from "./testing/originals.ts";
import { upgradeManifestText } from "./upgrade.ts";

/** "rule at", for each finding. */
const spots = (text: string): string[] => lintManifest(utf8(text)).map(({ rule, at }) => `${rule} ${at}`);

function assertFinds(text: string, expected: readonly string[]): void {
  const found = spots(text);
  for (const spot of expected) assert.ok(found.includes(spot), `${spot} is not among:\n${found.join("\n")}`);
}

const OLD_KEYS = ["loader.entrypoint", "loader.pal_internal_mem_size", "sgx.thread_num", "sgx.nonpie_binary"];
const deprecated = OLD_KEYS.map((key) => `deprecated-key ${key}`);

describe("the original's manifests are flagged on every weak point", () => {
  test("the default template: W7, W12, W19, W20 and its old keys", () => {
    assertFinds(DEFAULT_TEMPLATE, [
      ...deprecated,
      "host-arguments loader.insecure__use_cmdline_argv",
      "allowed-secret sgx.allowed_files file:ssl.cfg",
      "allowed-name-service sgx.allowed_files file:/etc/resolv.conf",
      "model-partly-encrypted fs.mounts file:models/resnet50-v15-fp32/1/saved_model.pb",
      "broad-trust sgx.trusted_files file:{{ arch_libdir }}/",
      "schema sgx.remote_attestation",
      "no-version sgx.isvsvn",
    ]);
  });

  test("the variant for Anolis OS: whatever is in /tmp", () => {
    assertFinds(ANOLIS_TEMPLATE, [
      ...deprecated,
      "deprecated-key sgx.remote_attestation",
      "allowed-system-folder sgx.allowed_files file:/tmp",
      "host-arguments loader.insecure__use_cmdline_argv",
    ]);
    assert.ok(!spots(ANOLIS_TEMPLATE).some((spot) => spot.startsWith("allowed-secret")));
  });

  test("Tencent's TOML: W14, a root that the host owns", () => {
    assertFinds(TENCENT_TOML, [
      ...deprecated,
      "allowed-everything sgx.allowed_files file:/",
      "encrypted-also-listed fs.mounts file:/models/resnet50-v15-fp32/1/saved_model.pb",
      "authority-not-trusted loader.env.SECRET_PROVISION_CA_CHAIN_PATH",
      "arguments-not-fixed loader.argv",
      "deprecated-key app",
    ]);
  });

  test("the first revision: keys of Gramine 1.0", () => {
    assertFinds(FIRST_TEMPLATE, [
      "deprecated-key loader.preload",
      "deprecated-key fs.mount",
      "deprecated-key sgx.remote_attestation",
      "deprecated-key sgx.trusted_files",
      "deprecated-key sgx.allowed_files",
      "deprecated-key sgx.protected_files",
      "deprecated-key loader.env.SECRET_PROVISION_SET_PF_KEY",
      "allowed-secret sgx.allowed_files file:ssl.cfg",
    ]);
  });
});

/** Entries of trusted files with digests that consist of one digit each. */
const digested = (uri: string, ...digits: readonly string[]): string =>
  digits.map((digit) => `{ uri = "${uri}", sha256 = "${digit.repeat(64)}" }`).join(", ");

describe("each rule", () => {
  const good = `
libos.entrypoint = "/usr/bin/tensorflow_model_server"
loader.entrypoint.uri = "file:/gramine/libsysdb.so"
loader.argv = ["tensorflow_model_server", "--rest_api_port=0", "--ssl_config_file=/ssl.cfg"]
loader.env.SECRET_PROVISION_SET_KEY = "model"
loader.env.SECRET_PROVISION_CA_CHAIN_PATH = "/etc/ca.pem"
fs.mounts = [
  { path = "/etc/ca.pem", uri = "file:ca.pem" },
  { path = "/models/m", uri = "file:models/m", type = "encrypted", key_name = "model" },
]
sgx.enclave_size = "4G"
sgx.max_threads = 64
sgx.isvsvn = 1
sgx.remote_attestation = "dcap"
sgx.trusted_files = ["file:ca.pem"]
`;

  test("is silent about a good manifest", () => assert.deepEqual(spots(good), []));

  const cases: readonly (readonly [rule: string, change: (text: string) => string])[] = [
    ["debug-enclave", (text) => `${text}sgx.debug = true\n`],
    ["host-environment", (text) => `${text}loader.insecure__use_host_env = true\n`],
    ["host-environment", (text) => `${text}loader.env.LD_PRELOAD = { passthrough = true }\n`],
    ["host-eventfd", (text) => `${text}sys.insecure__allow_eventfd = true\n`],
    ["insecure-option", (text) => `${text}loader.insecure__disable_aslr = true\n`],
    ["insecure-option", (text) => `${text}fs.insecure__keys.model = "${"00".repeat(16)}"\n`],
    ["file-check-policy", (text) => `${text}sgx.file_check_policy = "allow_all_but_log"\n`],
    ["allowed-secret", (text) => `${text}sgx.allowed_files = ["file:tls/server.key"]\n`],
    ["allowed-and-trusted", (text) => `${text}sgx.allowed_files = ["file:ca.pem"]\n`],
    ["log-level", (text) => `${text}loader.log_level = "trace"\n`],
    ["no-attestation", (text) => text.replace('"dcap"', '"none"')],
    ["encrypted-path", (text) => text.replace("file:models/m", "file:./models//m")],
    [
      "encrypted-also-listed",
      (text) => text.replace('["file:ca.pem"]', '["file:ca.pem", "file:models/m/1/saved_model.pb"]'),
    ],
    [
      "encrypted-overlap",
      (text) =>
        text.replace(
          "\n]\nsgx.enclave",
          '\n  { path = "/x", uri = "file:models/m/1", type = "encrypted" },\n]\nsgx.enclave',
        ),
    ],
    ["key-without-mount", (text) => text.replace('key_name = "model"', 'key_name = "other"')],
    ["authority-not-trusted", (text) => text.replace('["file:ca.pem"]', "[]")],
    ["plaintext-rest", (text) => text.replace("port=0", "port=8501")],
    ["plaintext-grpc", (text) => text.replace(', "--ssl_config_file=/ssl.cfg"', "")],
    ["few-threads", (text) => text.replace("= 64", "= 2")],
    ["enclave-size", (text) => text.replace('"4G"', '"3G"')],
    ["schema", (text) => `${text}sgx.no_such_key = 1\n`],
    // What Gramine refuses beyond its schema, when it hashes the files.
    ["schema", (text) => text.replace('"file:ca.pem"]', '"file:ca.pem", "https://example.com/a"]')],
    ["schema", (text) => text.replace("file:/gramine/libsysdb.so", "/gramine/libsysdb.so")],
    ["schema", (text) => text.replace('"file:ca.pem"]', `"file:ca.pem", ${digested("file:lib", "0", "1")}]`)],
    ["schema", (text) => `${text}sgx.cpu_features.pkru = "unspecified"\n`],
    ["schema", (text) => text.replace('ca.pem" },', 'ca.pem", options = "ro" },')],
  ];
  for (const [rule, change] of cases) {
    test(`${rule} is found, and nothing else (${cases.filter(([name]) => name === rule).findIndex(([, of]) => of === change)})`, () => {
      assert.deepEqual([...new Set(lintManifest(utf8(change(good))).map((finding) => finding.rule))], [rule]);
    });
  }

  test("is in the reference, with its severity and remedy", async () => {
    const path = join(import.meta.dirname, "../../../../docs/reference/manifest-rules.md");
    const words = (await readFile(path, "utf8")).replaceAll(/[ |]+/g, " ");
    for (const { name, severity, remedy } of LINT_RULES) {
      assert.ok(words.includes(`\`${name}\` ${severity} `) && words.includes(remedy), name);
    }
  });

  test("has a name of its own", () => {
    assert.equal(new Set(LINT_RULES.map(({ name }) => name)).size, LINT_RULES.length);
  });
});

describe("an upgrade", () => {
  test("writes the keys of today, and keeps what the manifest said", () => {
    const { text, changed } = upgradeManifestText(utf8(FIRST_TEMPLATE));
    const upgraded = GramineSchema.parse(parse(fromUtf8(text) ?? ""));
    assert.equal(changed.length, 8);
    assert.equal(upgraded.loader.entrypoint.uri, "file:/gramine/libsysdb.so");
    assert.equal(upgraded.sgx?.max_threads, 400);
    assert.equal(upgraded.sgx.remote_attestation, "dcap");
    assert.deepEqual(upgraded.sgx.trusted_files, ["file:/gramine/libsysdb.so", "file:certs/test-ca-sha256.crt"]);
    assert.equal(upgraded.loader.env?.["SECRET_PROVISION_SET_KEY"], "default");
    assert.deepEqual(upgraded.fs.mounts, [
      {
        type: "encrypted",
        path: "/models/resnet50-v15-fp32/1/saved_model.pb",
        uri: "file:models/resnet50-v15-fp32/1/saved_model.pb",
        key_name: "default",
      },
      { path: "/lib", uri: "file:/gramine/lib" },
    ]);
    assertFinds(fromUtf8(text) ?? "", ["allowed-secret sgx.allowed_files file:ssl.cfg"]);
  });

  for (const [name, template] of Object.entries({ DEFAULT_TEMPLATE, ANOLIS_TEMPLATE, TENCENT_TOML, FIRST_TEMPLATE })) {
    test(`of ${name}, rendered, is what Gramine takes, and still has the weak points of the original`, () => {
      const rendered = utf8(render(template));
      const text = fromUtf8(upgradeManifestText(rendered).text) ?? "";
      GramineSchema.parse(parse(text));
      const shape = new Set(["deprecated-key", "schema"]);
      const weak = (manifest: string): string[] =>
        spots(manifest).filter((spot) => !shape.has(spot.split(" ")[0] ?? ""));
      assert.deepEqual(spots(text), weak(text));
      assert.deepEqual(weak(text).toSorted(), weak(render(template)).toSorted());
      assert.ok(weak(text).length > 0);
    });
  }

  test("is refused for a template, whose statements would be lost", () => {
    assert.throws(() => upgradeManifestText(utf8(DEFAULT_TEMPLATE)), { code: "MANIFEST_IS_TEMPLATE" });
  });
});

/** As `gramine-manifest` renders a template, with values for what it names. */
function render(template: string): string {
  return template
    .replaceAll(/\{% for [^%]*%\}.*?\{% endfor %\}\n/gs, "")
    .replaceAll("{{ ra_type }}", "dcap")
    .replaceAll("{{ log_level }}", "error")
    .replaceAll(/\{\{ (?:\w+\.)?(\w+)[^}]*\}\}/g, "/usr/$1");
}

test("what is no TOML is refused", () => {
  for (const text of ["= 1", "[", "a = {{ b }"])
    assert.throws(() => lintManifest(utf8(text)), { code: "MANIFEST_INVALID" });
  assert.throws(() => lintManifest(Uint8Array.of(0xff)), { code: "MANIFEST_INVALID" });
});

test("paths have Gramine's normal form", () => {
  for (const [path, normal] of [
    ["models//x/./y/", "models/x/y"],
    ["models/a/../x", "models/x"],
    ["../../x", "../../x"],
    ["/../x", "/x"],
    [".", ""],
    ["/", "/"],
  ] as const) {
    assert.equal(normalPath(path), normal);
  }
});
