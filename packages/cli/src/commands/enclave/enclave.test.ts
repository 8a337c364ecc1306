import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";

const MAIN = resolve(import.meta.dirname, "../../main.ts");

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

  const cloister = (...args: readonly string[]): string =>
    execFileSync(process.execPath, [MAIN, "enclave", ...args, "--json"], {
      stdio: ["ignore", "pipe", "pipe"],
    }).toString();
  const inputs = (): string[] => ["--manifest", at("app.manifest.sgx"), "--libpal", at("libpal.so")];

  test("measures and signs the same enclave", async () => {
    const { mrenclave } = JSON.parse(cloister("measure", ...inputs())) as { mrenclave: string };
    const signed = JSON.parse(
      cloister("sign", ...inputs(), "--key", at("key.pem"), "--output", at("app.sig"), "--date", "2026-01-31"),
    ) as { mrenclave: string };
    assert.equal(signed.mrenclave, mrenclave);
    const sigstruct = await readFile(at("app.sig"));
    assert.equal(sigstruct.subarray(960, 992).toString("hex"), mrenclave);
    assert.equal(sigstruct.subarray(20, 24).toString("hex"), "31012620");
  });

  for (const [what, args] of [
    ["a file that is not there", ["measure", "--manifest", "no-such-file", "--libpal", "no-such-file"]],
    ["an option that is missing", ["measure"]],
    ["a day that is none", ["sign", "--key", "k", "--output", "o", "--date", "31.01.2026"]],
  ] as const) {
    test(`fails for ${what}`, () => {
      assert.throws(() => cloister(...args));
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
