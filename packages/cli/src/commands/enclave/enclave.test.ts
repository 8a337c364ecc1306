import assert from "node:assert/strict";
import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parsePolicy } from "@cloister/policy";
import { parse } from "yaml";
import { startSession } from "../../testing/session.ts";

describe("cloister enclave", () => {
  let folder: string;
  const at = (name: string): string => join(folder, name);
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cloister-enclave-"));
    await writeFile(
      at("app.manifest.sgx"),
      'libos.entrypoint = "app"\nsgx.enclave_size = "16M"\nsgx.max_threads = 1\n',
    );
    await writeFile(at("libpal.so"), smallElf());
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 3072, publicExponent: 3 });
    await writeFile(at("key.pem"), privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  });
  after(() => rm(folder, { recursive: true }));

  const session = startSession();
  after(() => session.close());
  const run = (...args: readonly string[]) => session.run(folder, "enclave", ...args, "--json");

  /** The report of a command that succeeds. */
  async function cloister(...args: readonly string[]): Promise<Record<string, unknown>> {
    const { code, stdout } = await run(...args);
    assert.equal(code, 0, stdout);
    return JSON.parse(stdout) as Record<string, unknown>;
  }

  const inputs = (): string[] => ["--manifest", at("app.manifest.sgx"), "--libpal", at("libpal.so")];

  test("measures and signs the same enclave", async () => {
    const mrenclave = String((await cloister("measure", ...inputs()))["mrenclave"]);
    const signed = await cloister(
      ...["sign", ...inputs(), "--key", at("key.pem"), "--output", at("app.sig"), "--date", "2026-01-31"],
    );
    assert.equal(signed["mrenclave"], mrenclave);
    const sigstruct = await readFile(at("app.sig"));
    assert.equal(sigstruct.subarray(960, 992).toString("hex"), mrenclave);
    assert.equal(sigstruct.subarray(20, 24).toString("hex"), "31012620");
  });

  test("signs with a program that keeps the key", async () => {
    const key = createPrivateKey(await readFile(at("key.pem")));
    await writeFile(at("public.pem"), createPublicKey(key).export({ type: "spki", format: "pem" }));
    const sign = (output: string, ...how: readonly string[]) =>
      run("sign", ...inputs(), "--output", at(output), "--date", "2026-01-31", ...how);
    const withToken = async (keyFile: string) => {
      const script =
        'const c = require("node:crypto"), f = require("node:fs");' +
        `process.stdout.write(c.sign("sha256", f.readFileSync(0), f.readFileSync("${keyFile}")).toString("base64"))`;
      await writeFile(at("token.cjs"), script);
      await writeFile(at("token"), `#!/bin/sh\nexec "${process.execPath}" "${at("token.cjs")}"\n`, { mode: 0o700 });
      return sign("token.sig", "--public-key", at("public.pem"), "--sign-command", at("token"));
    };
    assert.equal((await sign("file.sig", "--key", at("key.pem"))).code, 0);
    assert.equal((await withToken(at("key.pem"))).code, 0);
    assert.deepEqual(await readFile(at("token.sig")), await readFile(at("file.sig")));
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 3072, publicExponent: 3 });
    await writeFile(at("other.pem"), privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    assert.match((await withToken(at("other.pem"))).stdout, /SIGNATURE_WRONG/);
    assert.match((await withToken(at("no-such-key"))).stdout, /SIGNING_COMMAND_FAILED/);
  });

  test("names the measurement in a policy, and keeps everything else in it", async () => {
    const toPolicy = (...args: readonly string[]) =>
      cloister("measure", ...inputs(), "--policy", at("policy.yaml"), "--model", "m", ...args);
    await toPolicy();
    const mrenclave = String((await cloister("measure", ...inputs()))["mrenclave"]);
    const identities = async (): Promise<unknown> =>
      parsePolicy(parse(await readFile(at("policy.yaml"), "utf8"))).workloads[0]?.identities.map((one) =>
        one.tee === "sgx" ? one.mrenclave : one,
      );
    assert.deepEqual(await identities(), [mrenclave]);
    const other = "ab".repeat(32);
    const text = (await readFile(at("policy.yaml"), "utf8")).replace(mrenclave, other);
    await writeFile(at("policy.yaml"), `# whose it is\n${text}`);
    await toPolicy("--keep");
    assert.deepEqual(await identities(), [other, mrenclave]);
    await toPolicy();
    assert.deepEqual(await identities(), [mrenclave]);
    assert.match(await readFile(at("policy.yaml"), "utf8"), /^# whose it is\n/);
  });

  test("lint fails where a rule finds an error, and writes the keys of today", async () => {
    await writeFile(at("old.toml"), 'libos.entrypoint = "a"\nloader.entrypoint = "file:l"\nsgx.thread_num = 8\n');
    assert.equal((await run("lint", at("old.toml"), "--upgrade", at("new.toml"))).code, 1);
    assert.match(await readFile(at("new.toml"), "utf8"), /max_threads = 8/);
  });

  test("explains what moved a measurement", async () => {
    await writeFile(
      at("next.manifest.sgx"),
      'libos.entrypoint = "app"\nsgx.enclave_size = "32M"\nsgx.max_threads = 1\n',
    );
    const { keys } = await cloister("explain", at("app.manifest.sgx"), at("next.manifest.sgx"));
    assert.deepEqual(keys, [{ key: "sgx.enclave_size", before: '"16M"', after: '"32M"' }]);
  });

  for (const [what, args] of [
    ["a file that is not there", ["measure", "--manifest", "no-such-file", "--libpal", "no-such-file"]],
    ["an option that is missing", ["measure"]],
    ["a day that is none", ["sign", "--key", "k", "--output", "o", "--date", "31.01.2026"]],
  ] as const) {
    test(`fails for ${what}`, async () => {
      assert.notEqual((await run(...args)).code, 0);
    });
  }
});

/** One page of code and nothing else. */
function smallElf(): Uint8Array {
  const file = new Uint8Array(0x1000);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(18, 62, true);
  view.setBigUint64(24, 0x100n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setUint32(68, 5, true);
  view.setBigUint64(96, 0x1000n, true);
  view.setBigUint64(104, 0x1000n, true);
  return file;
}
