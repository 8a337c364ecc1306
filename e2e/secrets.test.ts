import assert from "node:assert/strict";
import { createPrivateKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { startTestChain } from "./support/chain.ts";
import { filesBelow, type Needle, processesOf, spellings } from "./support/secret-search.ts";

// Everything that the untrusted side holds: its folder (sealed files, manifests, logs, what attacks left) and what the system
// shows of its processes. None of it may hold a plaintext model byte sequence, the wrap key or a private key in any spelling.

const WINDOW_BYTES = 32;

/** How a PKCS#8 private key over P-256 and over Ed25519 begins in DER. */
const PKCS8_P256 = Buffer.from("308187020100301306072a8648ce3d0201", "hex");
const PKCS8_ED25519 = Buffer.from("302e020100300506032b6570", "hex");

test("the untrusted side holds no plaintext model, no wrap key and no private key", async () => {
  const { chain, close } = await startTestChain();
  try {
    await chain.infer({ requests: 100, concurrency: 4 });
    await chain.attack();
    const { owner, model, requester } = chain;
    const haystacks = [
      ...(await filesBelow(chain.folders.host)),
      ...(await processesOf([...chain.cluster.running.values()].map(({ pid }) => pid))),
    ];
    assert.ok(haystacks.length > 10, "there is something to search");
    const needles = [
      ...spellings("the wrap key", Buffer.from(owner.wrapKey.reveal())),
      ...spellings("the serving authority's key", secretPart(owner.servingAuthority.privateKey.keyObject())),
      ...spellings("the client authority's key", secretPart(owner.clientAuthority.privateKey.keyObject())),
      ...spellings("the broker's key", secretPart(owner.brokerTls.key.keyObject())),
      ...spellings("the manifest's signing key", secretPart(owner.bundleKey.privateKey)),
      ...spellings("the log's signing key", secretPart(owner.logKey.privateKey)),
      ...spellings("the requester's key", secretPart(createPrivateKey(await readFile(requester.key ?? "")))),
      ...[...model.files].flatMap(([path, bytes]) => windows(`plaintext of ${path}`, Buffer.from(bytes))),
      { what: "a PEM private key", bytes: Buffer.from("PRIVATE KEY-----") },
      { what: "a PKCS#8 key over P-256", bytes: PKCS8_P256 },
      { what: "a PKCS#8 key over Ed25519", bytes: PKCS8_ED25519 },
    ];
    for (const { what, bytes } of needles) {
      for (const haystack of haystacks) {
        assert.equal(haystack.bytes.indexOf(bytes), -1, `${what} is in ${haystack.where}`);
      }
    }
    // The search itself has to work: what is there is found.
    const certificate = Buffer.from("BEGIN CERTIFICATE");
    assert.ok(haystacks.some(({ bytes }) => bytes.includes(certificate)));
    const sealedBytes = haystacks.filter(({ where }) => where.endsWith("saved_model.pb"));
    assert.ok(sealedBytes.every(({ bytes }) => bytes.subarray(0, 8).toString() === "GRAFS_PF"));
  } finally {
    await close();
  }
});

/** The private number itself, without the container around it. */
function secretPart(key: KeyObject): Buffer {
  const { d } = key.export({ format: "jwk" });
  assert.ok(d !== undefined);
  return Buffer.from(d, "base64url");
}

/** Pieces of a file from its beginning to its end that are not filler. */
function windows(what: string, file: Buffer): Needle[] {
  const needles: Needle[] = [];
  for (let offset = 0; offset + WINDOW_BYTES <= file.length; offset += WINDOW_BYTES * 16) {
    const bytes = file.subarray(offset, offset + WINDOW_BYTES);
    if (new Set(bytes).size > WINDOW_BYTES / 2) needles.push({ what: `${what} at ${offset}`, bytes });
  }
  return needles;
}
