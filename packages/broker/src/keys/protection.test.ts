import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Secret, utf8 } from "@cloister/encoding";
import { startVault, VAULT_TOKEN } from "../testing/vault.ts";
import { KeyStore } from "./key-store.ts";
import {
  isExposed,
  passphraseFromCommand,
  passphraseFromEnvironment,
  passphraseFromFile,
  writeSecretFile,
} from "./passphrase-source.ts";
import { passphraseProtection } from "./protection.ts";
import { vaultTransitProtection } from "./vault-transit.ts";

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "protection-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

const text = (secret: Secret): string => Buffer.from(secret.reveal()).toString();

test("a passphrase comes from a file without its line end, from the environment, from a command", async (t) => {
  const path = join(await folderOf(t), "passphrase");
  await writeFile(path, "correct horse\r\n", { mode: 0o600 });
  assert.equal(text(await passphraseFromFile(path)), "correct horse");
  const environment = { STORE_PASSPHRASE: "correct horse" };
  assert.equal(text(passphraseFromEnvironment("STORE_PASSPHRASE", environment)), "correct horse");
  assert.deepEqual(environment, {}, "no child process inherits it");
  assert.equal(text(await passphraseFromCommand(["cat", path])), "correct horse");
});

test("a passphrase that others can read, that is in a repository, that is short or missing is refused", async (t) => {
  const [folder, linked] = [await folderOf(t), await folderOf(t)];
  const path = join(folder, "passphrase");
  await writeFile(path, "correct horse", { mode: 0o644 });
  await assert.rejects(passphraseFromFile(path), { code: "KEY_FILE_EXPOSED" });
  await mkdir(join(folder, ".git"));
  await mkdir(join(folder, "deep"));
  await writeFile(join(folder, "deep", "passphrase"), "correct horse", { mode: 0o600 });
  await assert.rejects(passphraseFromFile(join(folder, "deep", "passphrase")), { code: "KEY_IN_REPOSITORY" });
  await symlink(join(folder, "deep"), join(linked, "link"));
  await assert.rejects(passphraseFromFile(join(linked, "link", "passphrase")), { code: "KEY_IN_REPOSITORY" });
  await assert.rejects(writeSecretFile(join(linked, "link", "new"), utf8("x")), { code: "KEY_IN_REPOSITORY" });
  assert.throws(() => passphraseProtection(new Secret(utf8("short"), "p")), { code: "KEY_FORM_MISMATCH" });
  assert.throws(() => passphraseFromEnvironment("NOT_SET", {}), { code: "KEY_PROTECTION_UNAVAILABLE" });
  await assert.rejects(passphraseFromCommand(["false"]), { code: "KEY_PROTECTION_UNAVAILABLE" });
  await assert.rejects(passphraseFromCommand(["sh", "-c", "echo leaked >&2; exit 1"]), (error: Error) => {
    assert.ok(!error.stack?.includes("leaked"));
    return true;
  });
});

test("a store under Vault transit opens again with the vault, and not without it", async (t) => {
  const vault = await startVault(t);
  const path = join(await folderOf(t), "keys.json");
  const options = { ...vault, key: "cloister", token: new Secret(utf8(`${VAULT_TOKEN}\n`), "token") };
  const store = await KeyStore.open({ path, protection: vaultTransitProtection(options) });
  await store.generate("k");
  const again = await KeyStore.open({ path, protection: vaultTransitProtection(options) });
  assert.deepEqual((await again.secret("k")).reveal(), (await store.secret("k")).reveal());
  assert.deepEqual(vault.calls, ["POST /v1/transit/datakey/plaintext/cloister", "POST /v1/transit/decrypt/cloister"]);
  const file = await readFile(path, "utf8");
  assert.ok(!file.includes(VAULT_TOKEN) && file.includes("vault:v1:"));

  const wrongToken = { ...options, token: new Secret(utf8("hvs.other"), "token") };
  const open = (protection: ReturnType<typeof vaultTransitProtection>): Promise<KeyStore> =>
    KeyStore.open({ path, protection });
  await assert.rejects(open(vaultTransitProtection(wrongToken)), { code: "KEY_PROTECTION_UNAVAILABLE" });
  const { ca: _, ...untrusted } = options;
  await assert.rejects(open(vaultTransitProtection(untrusted)), { code: "KEY_PROTECTION_UNAVAILABLE" });
  await assert.rejects(open(passphraseProtection(new Secret(utf8("a passphrase"), "p"))), { code: "KEY_STORE_LOCKED" });
  assert.throws(() => vaultTransitProtection({ ...options, url: "http://localhost:8200" }), {
    code: "KEY_PROTECTION_UNAVAILABLE",
  });
});

test("private keys of other forms than a wrap key can be kept in the store", async (t) => {
  const path = join(await folderOf(t), "keys.json");
  const protection = passphraseProtection(new Secret(utf8("a passphrase"), "passphrase"));
  const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const store = await KeyStore.open({ path, protection });
  assert.equal(text(await store.keep("log", () => new Secret(utf8(pem), "log key"))), pem);
});

test("a file of root's for this group alone counts as its owner's; any other that a group may read does not", () => {
  const [root, us] = [0, 65_532];
  assert.equal(isExposed({ mode: 0o100440, uid: root, gid: us }, us), false);
  assert.equal(isExposed({ mode: 0o100600, uid: us, gid: us }, us), false);
  assert.equal(isExposed({ mode: 0o100460, uid: root, gid: us }, us), true);
  assert.equal(isExposed({ mode: 0o100444, uid: root, gid: us }, us), true);
  assert.equal(isExposed({ mode: 0o100440, uid: us, gid: us }, us), true);
  assert.equal(isExposed({ mode: 0o100440, uid: root, gid: 1000 }, us), true);
  assert.equal(isExposed({ mode: 0o100440, uid: root, gid: root }, root), true);
});
