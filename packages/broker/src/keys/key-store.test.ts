import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Secret, utf8 } from "@cloister/encoding";
import { KeyStore } from "./key-store.ts";

const passphrase = (): Secret => new Secret(utf8("a passphrase for tests"), "passphrase");

async function storePath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "keys-"));
  t.after(() => rm(folder, { recursive: true }));
  return join(folder, "keys.json");
}

test("keys made in a store come back from its file, under the same passphrase only", async (t) => {
  const path = await storePath(t);
  const store = await KeyStore.open({ path, passphrase: passphrase() });
  await Promise.all([store.generate("digits/1"), store.generate("digits/2")]);
  const [one, two] = [await store.secret("digits/1"), await store.secret("digits/2")];
  assert.equal(one.length, 16);
  assert.notDeepEqual(one.reveal(), two.reveal());
  const again = await KeyStore.open({ path, passphrase: passphrase() });
  assert.deepEqual((await again.secret("digits/1")).reveal(), one.reveal());
  const wrong = new Secret(utf8("another"), "passphrase");
  await assert.rejects(KeyStore.open({ path, passphrase: wrong }), { code: "KEY_STORE_LOCKED" });
});

test("the file holds no key in any form and is for its owner only", async (t) => {
  const path = await storePath(t);
  const store = await KeyStore.open({ path, passphrase: passphrase() });
  await store.import("phrase", new Secret(utf8("0123456789abcdef"), "phrase"));
  const file = await readFile(path);
  for (const form of ["0123456789abcdef", Buffer.from("0123456789abcdef").toString("base64"), "a passphrase"]) {
    assert.equal(file.includes(form), false);
  }
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test("a revoked key is not given out, also after opening again", async (t) => {
  const path = await storePath(t);
  const store = await KeyStore.open({ path, passphrase: passphrase() });
  await store.generate("k");
  await store.revoke("k");
  await assert.rejects(store.secret("k"), { code: "KEY_REVOKED" });
  const again = await KeyStore.open({ path, passphrase: passphrase() });
  await assert.rejects(again.secret("k"), { code: "KEY_REVOKED" });
  assert.equal(again.list()[0]?.id, "k");
});

test("an id is given once, must be one, and must be known", async (t) => {
  const store = await KeyStore.open({ path: await storePath(t), passphrase: passphrase() });
  await store.generate("k");
  await assert.rejects(store.generate("k"), { code: "KEY_EXISTS" });
  await assert.rejects(store.generate("../k"), { code: "KEY_FORM_MISMATCH" });
  await assert.rejects(store.secret("l"), { code: "KEY_UNKNOWN" });
  await assert.rejects(store.revoke("l"), { code: "KEY_UNKNOWN" });
});

test("a changed file is refused: a flipped byte, a key taken out, a revocation taken back", async (t) => {
  const path = await storePath(t);
  const store = await KeyStore.open({ path, passphrase: passphrase() });
  await store.generate("a");
  await store.generate("b");
  await store.revoke("a");
  const text = await readFile(path, "utf8");
  const file = JSON.parse(text) as { keys: { revokedAt: string | null }[] };
  const changed = [
    JSON.stringify({ ...file, keys: file.keys.slice(1) }),
    JSON.stringify({ ...file, keys: file.keys.with(0, { ...file.keys[0], revokedAt: null }) }),
    text.replace(/"sealed":"(.)/, (_, first) => `"sealed":"${first === "A" ? "B" : "A"}`),
  ];
  for (const variant of changed) {
    assert.notEqual(variant, text);
    await writeFile(path, variant);
    await assert.rejects(KeyStore.open({ path, passphrase: passphrase() }), { code: "KEY_STORE_LOCKED" });
  }
  await writeFile(path, "{}");
  await assert.rejects(KeyStore.open({ path, passphrase: passphrase() }), { code: "KEY_STORE_DAMAGED" });
});
