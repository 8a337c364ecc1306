import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { utf8 } from "@cloister/encoding";
import { CheckpointSigner, parseCheckpoint, verifyCheckpoint } from "./checkpoint.ts";
import { decodeLogEntry, encodeLogEntry, type LogEntry } from "./entry.ts";
import { EMPTY_ROOT, leafHash } from "./merkle.ts";
import { MerkleTree } from "./merkle-tree.ts";
import { verifyContinuation, verifyLogProof } from "./proof.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const signer = new CheckpointSigner("test/log", privateKey, publicKey);
const note = signer.sign({ size: 0, root: EMPTY_ROOT });

const entry: LogEntry = {
  time: "2026-01-01T00:00:00.000Z",
  decision: "released",
  codes: [],
  workload: "w",
  rule: "r",
  keyId: "k",
  claims: null,
  claimsSha256: null,
  policySha256: "cd".repeat(32),
  peerKeySha256: null,
  simulated: false,
};

test("a checkpoint reads back as it was signed", () => {
  const { origin, size, root } = verifyCheckpoint(note, { publicKey, origin: "test/log" });
  assert.deepEqual(
    { origin, size, root: Buffer.from(root) },
    { origin: "test/log", size: 0, root: Buffer.from(EMPTY_ROOT) },
  );
});

const lines = note.split("\n");
const variants: [string, string][] = [
  ["nothing", ""],
  ["a missing newline at the end", note.slice(0, -1)],
  ["a line more", `${note}\n`],
  ["a size with a sign", lines.with(1, "+0").join("\n")],
  ["a size with leading zeros", lines.with(1, "00").join("\n")],
  ["a size beyond safe integers", lines.with(1, "9999999999999999").join("\n")],
  ["a root of 31 bytes", lines.with(2, Buffer.alloc(31).toString("base64")).join("\n")],
  ["a root in non-canonical base64", lines.with(2, `${"A".repeat(42)}B=`).join("\n")],
  ["a hyphen instead of the dash", note.replace("\u2014", "-")],
  ["a name with a space", note.replaceAll("test/log", "test log")],
  ["ten thousand characters", `${"x".repeat(10_000)}${note}`],
];
for (const [what, text] of variants) {
  test(`a checkpoint with ${what} is LOG_CHECKPOINT_MALFORMED`, () => {
    assert.throws(() => parseCheckpoint(text), { code: "LOG_CHECKPOINT_MALFORMED" });
  });
}

test("a checkpoint of another size, root, name or key is LOG_SIGNATURE_INVALID", () => {
  const otherKey = generateKeyPairSync("ed25519").publicKey;
  assert.throws(() => verifyCheckpoint(lines.with(1, "1").join("\n"), { publicKey }), {
    code: "LOG_SIGNATURE_INVALID",
  });
  assert.throws(() => verifyCheckpoint(note, { publicKey, origin: "test/other" }), { code: "LOG_SIGNATURE_INVALID" });
  assert.throws(() => verifyCheckpoint(note, { publicKey: otherKey }), { code: "LOG_SIGNATURE_INVALID" });
  assert.throws(() => verifyCheckpoint(note.replaceAll("test/log", "test/lob"), { publicKey }), {
    code: "LOG_SIGNATURE_INVALID",
  });
});

test("a log name that could break a checkpoint's lines is refused", () => {
  for (const origin of ["", "a b", "a\nb", "\u2014", "x".repeat(129)]) {
    assert.throws(() => new CheckpointSigner(origin, privateKey, publicKey), { code: "LOG_CHECKPOINT_MALFORMED" });
  }
});

const text = Buffer.from(encodeLogEntry(entry)).toString();
const entries: [string, string][] = [
  ["nothing", ""],
  ["white space", ` ${text}`],
  ["a list", "[]"],
  ["a missing field", text.replace('"keyId":"k",', "")],
  ["a field more", text.replace('"keyId":"k"', '"keyId":"k","keyId2":"k"')],
  ["a field twice", text.replace('"keyId":"k"', '"keyId":"k","keyId":"k"')],
  ["another decision", text.replace("released", "allowed")],
  ["a local time", text.replace("00.000Z", "00.000+01:00")],
  ["a short digest", text.replace("cdcd", "cd")],
  ["an upper-case digest", text.replace("cdcd", "CDCD")],
  ["codes that are not codes", text.replace('"codes":[]', '"codes":["no good"]')],
  ["a deep value", text.replace('"claims":null', `"claims":${"[".repeat(50)}${"]".repeat(50)}`)],
  ["20 KB", text.replace('"claims":null', `"claims":{"x":"${"y".repeat(20_000)}"}`)],
];
for (const [what, json] of entries) {
  test(`an entry with ${what} is LOG_ENTRY_MALFORMED`, () => {
    assert.throws(() => decodeLogEntry(utf8(json)), { code: "LOG_ENTRY_MALFORMED" });
  });
}

test("a proof for another entry is LOG_PROOF_INVALID, and a rewritten log is LOG_FORKED", () => {
  const tree = new MerkleTree();
  const leaves = [entry, { ...entry, keyId: "k2" }].map(encodeLogEntry);
  for (const leaf of leaves) tree.append(leafHash(leaf));
  const checkpoint = signer.sign({ size: 2, root: tree.root() });
  const path = tree.inclusionPath(0);
  assert.equal(verifyLogProof({ leafIndex: 0, entry: leaves[0]!, path, checkpoint }, { publicKey }).entry.keyId, "k");
  assert.throws(() => verifyLogProof({ leafIndex: 0, entry: leaves[1]!, path, checkpoint }), {
    code: "LOG_PROOF_INVALID",
  });
  assert.throws(
    () => verifyContinuation({ size: 1, root: EMPTY_ROOT }, { size: 2, root: tree.root() }, tree.consistencyPath(1)),
    {
      code: "LOG_FORKED",
    },
  );
});
