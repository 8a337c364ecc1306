import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Secret, utf8 } from "@cloister/encoding";
import { KeyStore } from "./key-store.ts";
import { type KeyProtection, passphraseProtection } from "./protection.ts";

const passphrase = (text = "a passphrase for tests"): KeyProtection =>
  passphraseProtection(new Secret(utf8(text), "passphrase"));
/** Without the stretching, for tests that are about other things. */
const quick: KeyProtection = {
  create: async () => ({
    head: { kind: "passphrase", salt: "" },
    master: await quick.open({ kind: "passphrase", salt: "" }),
  }),
  open: async () => new Secret(new Uint8Array(64).fill(7), "master key"),
};
const PHRASE = "correct horse battery";

async function storePath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "keys-"));
  t.after(() => rm(folder, { recursive: true }));
  return join(folder, "keys.json");
}

test("keys made in a store come back from its file, under the same passphrase only", async (t) => {
  const path = await storePath(t);
  const store = await KeyStore.open({ path, protection: passphrase() });
  await Promise.all([store.generate("digits/1"), store.generate("digits/2")]);
  const [one, two] = [await store.secret("digits/1"), await store.secret("digits/2")];
  assert.equal(one.length, 16);
  assert.notDeepEqual(one.reveal(), two.reveal());
  const again = await KeyStore.open({ path, protection: passphrase() });
  assert.deepEqual((await again.secret("digits/1")).reveal(), one.reveal());
  const wrong = KeyStore.open({ path, protection: passphrase("another one") });
  await assert.rejects(wrong, { code: "KEY_STORE_LOCKED" });
});

test("the file holds no key in any form and is for its owner only", async (t) => {
  const path = await storePath(t);
  const store = await KeyStore.open({ path, protection: quick });
  await store.import("phrase", new Secret(utf8(PHRASE), "phrase"));
  const file = await readFile(path);
  for (const form of [PHRASE, Buffer.from(PHRASE).toString("base64"), "a passphrase"]) {
    assert.equal(file.includes(form), false);
  }
  assert.equal((await stat(path)).mode & 0o777, 0o600);
});

test("a revoked key is not given out, also after opening again", async (t) => {
  const path = await storePath(t);
  const store = await KeyStore.open({ path, protection: quick });
  await store.generate("k");
  await store.revoke("k");
  await assert.rejects(store.secret("k"), { code: "KEY_REVOKED" });
  const again = await KeyStore.open({ path, protection: quick });
  await assert.rejects(again.secret("k"), { code: "KEY_REVOKED" });
  assert.equal((await again.list())[0]?.id, "k");
});

test("an id is given once, must be one, and must be known", async (t) => {
  const store = await KeyStore.open({ path: await storePath(t), protection: quick });
  await store.generate("k");
  await assert.rejects(store.generate("k"), { code: "KEY_EXISTS" });
  await assert.rejects(store.generate("../k"), { code: "KEY_FORM_MISMATCH" });
  await assert.rejects(store.secret("l"), { code: "KEY_UNKNOWN" });
  await assert.rejects(store.revoke("l"), { code: "KEY_UNKNOWN" });
});

test("a changed file is refused: a flipped byte, a key taken out, a revocation taken back", async (t) => {
  const path = await storePath(t);
  const store = await KeyStore.open({ path, protection: quick });
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
    await assert.rejects(KeyStore.open({ path, protection: quick }), { code: "KEY_STORE_LOCKED" });
  }
  await writeFile(path, "{}");
  await assert.rejects(KeyStore.open({ path, protection: quick }), { code: "KEY_STORE_DAMAGED" });
});

test("a rotation makes a new version, and the older one stays valid beside it until it retires", async (t) => {
  let now = new Date("2026-01-01T00:00:00Z");
  const path = await storePath(t);
  const store = await KeyStore.open({ path, protection: quick, clock: () => now });
  await store.generate("k");
  const first = (await store.secret("k")).reveal();
  assert.equal(await store.rotate("k", 3600), 2);
  const ids = async (): Promise<string[]> => (await store.versions("k")).map(({ keyId }) => keyId);
  assert.deepEqual(await ids(), ["k@2", "k@1"]);
  assert.notDeepEqual((await store.secret("k")).reveal(), first);
  assert.deepEqual((await store.secret("k@1")).reveal(), first);
  now = new Date("2026-01-01T01:00:00Z");
  assert.deepEqual(await ids(), ["k@2"]);
  await assert.rejects(store.secret("k@1"), { code: "KEY_REVOKED" });
  await assert.rejects(store.rotate("l", 1), { code: "KEY_UNKNOWN" });
});

test("one version can be revoked, and revoking the id revokes all of them", async (t) => {
  const store = await KeyStore.open({ path: await storePath(t), protection: quick });
  await store.generate("k");
  await store.rotate("k", 3600);
  await store.revoke("k@2");
  assert.deepEqual(
    (await store.versions("k")).map(({ keyId }) => keyId),
    ["k@1"],
  );
  await store.revoke("k");
  await assert.rejects(store.versions("k"), { code: "KEY_REVOKED" });
});

test("what another process changes is seen at the next use: a revocation needs no restart", async (t) => {
  const path = await storePath(t);
  const [broker, command] = [
    await KeyStore.open({ path, protection: quick }),
    await KeyStore.open({ path, protection: quick }),
  ];
  await command.generate("k");
  await broker.secret("k");
  await command.revoke("k");
  await assert.rejects(broker.secret("k"), { code: "KEY_REVOKED" });
  await Promise.all([broker.generate("a"), command.generate("b")]);
  assert.deepEqual((await broker.list()).map(({ id }) => id).sort(), ["a", "b", "k"]);
});

test("keys of the broker itself are made once, and no id of a policy reaches them", async (t) => {
  const path = await storePath(t);
  const store = await KeyStore.open({ path, protection: quick });
  const make = (): Secret => new Secret(new Uint8Array([1, 2, 3]), "own");
  assert.deepEqual((await store.keep("authority", make)).reveal(), Uint8Array.of(1, 2, 3));
  const again = await KeyStore.open({ path, protection: quick });
  const other = await again.keep("authority", () => new Secret(new Uint8Array([9]), "own"));
  assert.deepEqual(other.reveal(), Uint8Array.of(1, 2, 3));
  await assert.rejects(again.secret("_authority"), { code: "KEY_UNKNOWN" });
  await assert.rejects(again.secret("_authority@1"), { code: "KEY_UNKNOWN" });
  await assert.rejects(again.revoke("_authority"), { code: "KEY_UNKNOWN" });
  assert.deepEqual(await again.list(), []);
});

const refused: [string, string, string][] = [
  ["the original's demo key", "dda09c7c52359c9bc4e51982b97dd7fe", "KEY_PUBLISHED"],
  // Bytes that our source does not tell are zero here.
  ["the demo key of its earlier versions", "7b000000d57878b8eae34e3581000000", "KEY_PUBLISHED"],
  ["the demo key beside its certificates", "6f655f3c527142350000000009690037", "KEY_PUBLISHED"],
  ["zeros", "00".repeat(16), "KEY_WEAK"],
  ["a counted key", "000102030405060708090a0b0c0d0e0f", "KEY_WEAK"],
  ["a key counted down by three", "ffFCf9f6f3f0edeae7e4e1dedbd8d5d2", "KEY_WEAK"],
  ["a repeated half", "d1a4f07b2c9e5836d1a4f07b2c9e5836", "KEY_WEAK"],
  ["typed text", Buffer.from("my secret key 1!").toString("hex"), "KEY_WEAK"],
  ["two alternating bytes", "abcd".repeat(8), "KEY_WEAK"],
];
for (const [what, hex, code] of refused) {
  test(`${what} is refused with ${code}`, async (t) => {
    const store = await KeyStore.open({ path: await storePath(t), protection: quick });
    await assert.rejects(store.import("k", new Secret(new Uint8Array(Buffer.from(hex, "hex")), "key")), { code });
  });
}

test("a file that is put back while the store is open is KEY_STORE_DAMAGED", async (t) => {
  const path = await storePath(t);
  const store = await KeyStore.open({ path, protection: quick });
  await store.generate("digits/1");
  const before = await readFile(path);
  await store.revoke("digits/1");
  await writeFile(path, before);
  await assert.rejects(store.secret("digits/1"), { code: "KEY_STORE_DAMAGED" });
  await assert.rejects(store.generate("digits/2"), { code: "KEY_STORE_DAMAGED" });
});
