import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type TestContext, test } from "node:test";
import { parse } from "smol-toml";
import { lintManifest } from "../lint/lint.ts";
import { decodeReplicaSettings } from "../replica/settings.ts";
import { readGramineManifest } from "../sgx/gramine-manifest.ts";
import { findLibrary, neededLibraries } from "./libraries.ts";
import { type GramineDocument, GramineSchema } from "./schema.ts";
import { enclaveShape } from "./size.ts";
import { writeReplicaGramine, writeServingGramine } from "./write.ts";

/** Asks the system's own linker. */
const LINKER_LIST = "ldd";
const SYSTEM = ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64"];

async function setUp(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), "manifest-"));
  t.after(() => rm(folder, { recursive: true }));
  const gramineFolder = join(folder, "gramine");
  await mkdir(join(gramineFolder, "runtime/glibc"), { recursive: true });
  await writeFile(join(gramineFolder, "libsysdb.so"), "the library OS");
  const libm = await findLibrary("libm.so.6", { folders: SYSTEM });
  assert.ok(libm);
  await copyFile(libm, join(gramineFolder, "libsecret_prov_attest.so"));
  const options = {
    folder: join(folder, "out"),
    base: {
      shape: enclaveShape("cloister", 100e6, 2),
      isvProdId: 1,
      isvSvn: 2,
      gramineFolder,
      libraryFolders: [gramineFolder, "/lib64"],
    },
    config: {
      model: { name: "digits", version: 3 },
      broker: { serverName: "broker.test", caPem: "the authority", logKey: "AAAA" },
      engineThreads: 2,
    },
    brokers: [
      { host: "a.test", port: 4433 },
      { host: "b.test", port: 4434 },
    ],
    listen: { host: "0.0.0.0", port: 8500 },
  };
  return { folder, options };
}

async function read(path: string): Promise<{ bytes: Uint8Array; document: GramineDocument }> {
  const bytes = new Uint8Array(await readFile(path));
  return { bytes, document: GramineSchema.parse(parse(Buffer.from(bytes).toString())) };
}

const urisOf = ({ sgx }: GramineDocument): string[] =>
  (sgx?.trusted_files ?? []).map((file) => (typeof file === "string" ? file : file.uri));

test("the libraries of a program are those that the linker loads", async () => {
  const own = (await neededLibraries([process.execPath], { folders: SYSTEM })).map((path) => basename(path));
  const linker = execFileSync(LINKER_LIST, [process.execPath], { encoding: "utf8" });
  const theirs = [...linker.matchAll(/^\s*(?:\S*\/)?(\S+?\.so[.\d]*) (?:=>|\()/gm)].map(([, name = ""]) => name);
  assert.deepEqual(own.sort(), theirs.filter((name) => !name.startsWith("linux-vdso")).sort());
});

test("a library that is nowhere is refused", async () => {
  await assert.rejects(neededLibraries([process.execPath], { folders: ["/no/such/folder"] }), {
    code: "LIBRARY_NOT_FOUND",
  });
});

test("the manifest of the stock server fixes arguments, keys and authority, and no rule finds anything", async (t) => {
  const { options } = await setUp(t);
  const written = await writeServingGramine({ ...options, binary: process.execPath, keyName: "model" });
  const { bytes, document } = await read(written.path);
  assert.deepEqual(lintManifest(bytes), []);
  assert.ok(document.loader.argv?.includes("--ssl_config_file=/ssl.cfg"));
  assert.ok(document.loader.argv?.includes("--rest_api_port=0"));
  assert.equal(document.loader.env?.["SECRET_PROVISION_SERVERS"], "a.test:4433,b.test:4434");
  assert.equal(document.loader.env["SECRET_PROVISION_SET_KEY"], "model");
  assert.deepEqual(
    document.fs.mounts.filter(({ type }) => type === "encrypted"),
    [
      { type: "encrypted", path: "/models/digits", uri: "file:models/digits", key_name: "model" },
      { type: "encrypted", path: "/ssl.cfg", uri: "file:ssl.cfg", key_name: "model" },
    ],
  );
  assert.ok(urisOf(document).includes("file:ca.pem"));
  assert.equal(document.sgx?.allowed_files, undefined);
  assert.equal(await readFile(join(options.folder, "ca.pem"), "utf8"), "the authority");
  assert.ok(urisOf(document).every((uri) => !uri.endsWith("/")));
});

test("the manifest of our own server has one note, and settings that it can read", async (t) => {
  const { folder, options } = await setUp(t);
  const root = await realpath(folder);
  const packageFolder = join(root, "node_modules/@cloister/enclave");
  await mkdir(join(packageFolder, "src/replica"), { recursive: true });
  await writeFile(join(packageFolder, "package.json"), "{}");
  await writeFile(join(packageFolder, "src/replica/in-tee.js"), "");
  const written = await writeReplicaGramine({
    ...options,
    installation: { root, nodeExecutable: process.execPath },
    health: { host: "0.0.0.0", port: 8502 },
    waitForBrokerSeconds: 60,
  });
  const { bytes, document } = await read(written.path);
  assert.deepEqual(
    lintManifest(bytes).map(({ rule, severity }) => [rule, severity]),
    [["host-eventfd", "note"]],
  );
  const entry = join(packageFolder, "src/replica/in-tee.js");
  assert.deepEqual(document.loader.argv, ["node", entry, "/etc/cloister/replica.json"]);
  assert.ok(urisOf(document).includes(`file:${entry}`));
  assert.ok(urisOf(document).includes("file:replica.json"));
  const settings = decodeReplicaSettings(new Uint8Array(await readFile(join(options.folder, "replica.json"))));
  assert.equal(settings.hostOptions.sealedDir, "/sealed/models/digits/3");
  assert.deepEqual(readGramineManifest(bytes).dimensions, { enclaveSize: 4 * 2 ** 30, maxThreads: 30, edmm: false });
  assert.deepEqual(new Set(Object.keys(options.base.shape)), new Set(["enclaveSize", "maxThreads"]));
});

test("sources are no installation that Gramine could run", async (t) => {
  const { options } = await setUp(t);
  const installation = { root: join(import.meta.dirname, "../../../.."), nodeExecutable: process.execPath };
  const output = { ...options, installation, health: undefined, waitForBrokerSeconds: 0 };
  await assert.rejects(writeReplicaGramine(output), { code: "INSTALLATION_NOT_BUILT" });
});

test("size and threads follow from the model", () => {
  assert.deepEqual(enclaveShape("cloister", 1e6, 1), { enclaveSize: "4G", maxThreads: 27 });
  assert.deepEqual(enclaveShape("tensorflow-serving", 2e9, 8), { enclaveSize: "16G", maxThreads: 96 });
});
