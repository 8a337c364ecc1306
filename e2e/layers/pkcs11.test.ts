import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { ROOT } from "../support/chain.ts";

// Needs Debian's softhsm2, opensc and openssl; without them it fails. The script is the guide's.

const GUIDE = join(ROOT, "docs/how-to/run-on-sgx.md");
const MAIN = join(ROOT, "packages/cli/src/main.ts");
const MODULE = "/usr/lib/softhsm/libsofthsm2.so";
const PINS = ["--pin", "1234", "--so-pin", "5678"] as const;

test("a key in a PKCS#11 token signs by the guide's script as the same key in a file does", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "cloister-token-"));
  t.after(() => rm(folder, { recursive: true }));
  const at = (name: string): string => join(folder, name);
  const env = { ...process.env, SOFTHSM2_CONF: at("softhsm.conf"), PKCS11_MODULE: MODULE };
  const run = (program: string, ...words: readonly string[]) =>
    promisify(execFile)(program, words, { cwd: folder, env });
  await mkdir(at("tokens"));
  await writeFile(at("softhsm.conf"), `directories.tokendir = ${at("tokens")}\nobjectstore.backend = file\n`);
  await writeFile(at("token-pin"), "1234\n", { mode: 0o600 });
  const script = /^```sh\n(#!\/bin\/sh\n[\s\S]*?)^```$/m.exec(await readFile(GUIDE, "utf8"))?.[1];
  assert.ok(script);
  await writeFile(at("sign-with-token"), script, { mode: 0o755 });
  await run("openssl", "genrsa", "-3", "-out", "key.pem", "3072");
  await run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", "key.pem", "-out", "key.p8");
  await run("openssl", "rsa", "-in", "key.pem", "-pubout", "-out", "enclave-public.pem");
  await run("softhsm2-util", "--init-token", "--free", "--label", "owner", ...PINS);
  await run(
    ...(["softhsm2-util", "--import", "key.p8", "--token", "owner", "--label", "enclave", "--id", "01"] as const),
    ...PINS.slice(0, 2),
  );
  await copyFile("/lib/x86_64-linux-gnu/libm.so.6", at("libpal.so"));
  await writeFile(at("a.manifest.sgx"), 'sgx.enclave_size = "256M"\n');
  const sign = (output: string, ...key: readonly string[]) =>
    run(
      ...([
        process.execPath,
        MAIN,
        "enclave",
        "sign",
        "--manifest",
        "a.manifest.sgx",
        "--libpal",
        "libpal.so",
      ] as const),
      ...["--date", "2026-01-01", "--output", output, ...key],
    );
  await sign("file.sig", "--key", "key.pem");
  await sign("token.sig", "--public-key", "enclave-public.pem", "--sign-command", at("sign-with-token"));
  assert.deepEqual(await readFile(at("token.sig")), await readFile(at("file.sig")));
  // A token without that key signs nothing, and nothing is written.
  await writeFile(at("token-pin"), "4321\n");
  await assert.rejects(
    sign("refused.sig", "--public-key", "enclave-public.pem", "--sign-command", at("sign-with-token")),
    (error: { stderr?: string }) => error.stderr?.includes("SIGNING_COMMAND_FAILED") === true,
  );
});
