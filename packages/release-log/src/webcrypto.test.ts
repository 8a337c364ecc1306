import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { CheckpointSigner } from "./checkpoint.ts";
import { encodeLogEntry, type LogEntry } from "./entry.ts";
import { leafHash } from "./merkle.ts";
import { MerkleTree } from "./merkle-tree.ts";
import { decodeLogProof, encodeLogProof } from "./proof-json.ts";
import { verifyLogProof } from "./proof.ts";
import { type LogProof, verifyLogProofAsync } from "./webcrypto.ts";

const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const raw = new Uint8Array(publicKey.export({ type: "spki", format: "der" }).subarray(-32));
const ORIGIN = "log.test";

function proofOf(leafIndex: number, size: number): LogProof {
  const tree = new MerkleTree();
  const entries = Array.from({ length: size }, (_, index) => encodeLogEntry(entryAt(index)));
  for (const entry of entries) tree.append(leafHash(entry));
  const checkpoint = new CheckpointSigner(ORIGIN, privateKey, publicKey).sign({ size, root: tree.root(size) });
  return { leafIndex, entry: entries[leafIndex]!, path: tree.inclusionPath(leafIndex, size), checkpoint };
}

function entryAt(index: number): LogEntry {
  return {
    time: `2026-01-01T00:00:00.${String(index).padStart(3, "0")}Z`,
    decision: "released",
    codes: [],
    workload: "digits",
    rule: "sgx",
    keyId: "key",
    claims: null,
    claimsSha256: null,
    policySha256: "0".repeat(64),
    peerKeySha256: "1".repeat(64),
    simulated: true,
  };
}

test("a proof verifies on WebCrypto as it does in Node, through its JSON form", async () => {
  for (const [leafIndex, size] of [[0, 1] as const, [3, 7] as const, [6, 7] as const]) {
    const proof = decodeLogProof(encodeLogProof(proofOf(leafIndex, size)));
    const verified = await verifyLogProofAsync(proof, { origin: ORIGIN, publicKey: raw });
    assert.deepEqual(verified, verifyLogProof(proof, { origin: ORIGIN, publicKey }));
  }
});

test("what is wrong with a proof has the same code on both", async () => {
  const good = proofOf(2, 5);
  const other = generateKeyPairSync("ed25519").publicKey;
  const cases: [string, LogProof, typeof publicKey][] = [
    ["LOG_SIGNATURE_INVALID", good, other],
    [
      "LOG_SIGNATURE_INVALID",
      { ...good, checkpoint: good.checkpoint.replace("log.test\n5", "log.test\n6") },
      publicKey,
    ],
    ["LOG_CHECKPOINT_MALFORMED", { ...good, checkpoint: "log.test\n5\n" }, publicKey],
    ["LOG_PROOF_INVALID", { ...good, leafIndex: 1 }, publicKey],
    ["LOG_ENTRY_MALFORMED", { ...good, entry: good.entry.subarray(1) }, publicKey],
  ];
  for (const [code, proof, key] of cases) {
    const bytes = new Uint8Array(key.export({ type: "spki", format: "der" }).subarray(-32));
    await assert.rejects(verifyLogProofAsync(proof, { publicKey: bytes }), { code });
    assert.throws(() => verifyLogProof(proof, { publicKey: key }), { code });
  }
});

test("JSON that is no proof is refused: LOG_PROOF_INVALID", () => {
  const good = JSON.parse(new TextDecoder().decode(encodeLogProof(proofOf(0, 2)))) as Record<string, unknown>;
  const broken: unknown[] = [
    null,
    [],
    "x",
    { ...good, leafIndex: "0" },
    { ...good, entry: "*" },
    { ...good, path: ["AA=="] },
    { ...good, path: Array.from({ length: 65 }, () => (good["path"] as string[])[0]) },
    { ...good, checkpoint: 1 },
    { ...good, checkpoint: "x".repeat(20_000) },
  ];
  for (const value of broken) {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    assert.throws(() => decodeLogProof(bytes), { code: "LOG_PROOF_INVALID" });
  }
  assert.throws(() => decodeLogProof(Uint8Array.of(0xff)), { code: "LOG_PROOF_INVALID" });
});
