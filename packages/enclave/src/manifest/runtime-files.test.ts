import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { EnclaveError } from "../errors.ts";
import { checkTrustedFiles, collectTrustedFiles, type Installation, NODE_EXECUTABLE } from "./runtime-files.ts";

const hasCode = (code: string) => (error: unknown) => error instanceof EnclaveError && error.code === code;

const usesMusl =
  process.platform === "linux" && !JSON.stringify(process.report.getReport()).includes("glibcVersionRuntime");

describe("the trusted files of a program", () => {
  let root: string;
  let installation: Installation;

  const write = async (path: string, text: string): Promise<void> => {
    const file = join(root, path);
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(file, text);
  };

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "cloister-runtime-"));
    installation = { root, nodeExecutable: join(root, "node") };
    await write("node", "an interpreter");
    await write("packages/enclave/package.json", '{"dependencies":{"@cloister/encoding":"1","library":"1"}}');
    await write("packages/enclave/src/main.ts", "main");
    await write("packages/enclave/src/main.test.ts", "a test");
    await write("packages/encoding/package.json", '{"dependencies":{"@cloister/enclave":"1"}}');
    await write("packages/encoding/src/gen/a_pb.js", "generated");
    await write("packages/encoding/proto/a.proto", "not loaded");
    await write("packages/cli/package.json", "{}");
    await write("packages/cli/src/main.ts", "not part of the program");
    await write("node_modules/library/package.json", '{"dependencies":{"inner":"1"}}');
    await write("node_modules/library/dist/index.js", "library");
    await write(
      "node_modules/inner/package.json",
      '{"optionalDependencies":{"@native/here":"1","@native/elsewhere":"1"}}',
    );
    await write("node_modules/@native/here/package.json", "{}");
    await write("node_modules/@native/here/lib/liba.so.8.1", "native too");
    await write(`node_modules/inner/bin/napi-v6/${process.platform}/${process.arch}/a.node`, "native");
    await write("node_modules/inner/bin/napi-v6/beos/m68k/a.node", "foreign");
    // Each of these two is foreign to a Node.js that is linked against the other.
    await write("node_modules/inner/linux_x64/b.node", "glibc");
    await write("node_modules/inner/musl_x64/b.node", "musl");
  });
  afterEach(() => rm(root, { recursive: true }));

  test("are those its packages and their dependencies can load, and the interpreter", async () => {
    assert.deepEqual(Object.keys(await collectTrustedFiles(installation, "@cloister/enclave")), [
      NODE_EXECUTABLE,
      "node_modules/@native/here/lib/liba.so.8.1",
      "node_modules/@native/here/package.json",
      `node_modules/inner/bin/napi-v6/${process.platform}/${process.arch}/a.node`,
      `node_modules/inner/${usesMusl ? "musl" : "linux"}_x64/b.node`,
      "node_modules/inner/package.json",
      "node_modules/library/dist/index.js",
      "node_modules/library/package.json",
      "packages/enclave/package.json",
      "packages/enclave/src/main.ts",
      "packages/encoding/package.json",
      "packages/encoding/src/gen/a_pb.js",
    ]);
  });

  test("pass the check while they stay as they are", async () => {
    await checkTrustedFiles(installation, await collectTrustedFiles(installation, "@cloister/enclave"));
  });

  for (const path of ["packages/enclave/src/main.ts", "node_modules/library/dist/index.js", "node"]) {
    test(`are refused once ${path} was changed`, async () => {
      const trusted = await collectTrustedFiles(installation, "@cloister/enclave");
      await write(path, "changed");
      await assert.rejects(checkTrustedFiles(installation, trusted), hasCode("TRUSTED_FILE_CHANGED"));
    });
  }

  test("are refused once one is gone", async () => {
    const trusted = await collectTrustedFiles(installation, "@cloister/enclave");
    await rm(join(root, "packages/enclave/src/main.ts"));
    await assert.rejects(checkTrustedFiles(installation, trusted), hasCode("TRUSTED_FILE_MISSING"));
  });
});
