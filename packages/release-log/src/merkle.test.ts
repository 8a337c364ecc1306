import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, toHex } from "@cloister/encoding";
import { assert as check, nat, property } from "fast-check";
import { EMPTY_ROOT, leafHash, nodeHash, verifyConsistency, verifyInclusion } from "./merkle.ts";
import { MerkleTree } from "./merkle-tree.ts";

/** RFC 6962, section 2.1, word for word: the independent definition that the incremental tree is held against. */
function definedRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const [only] = leaves;
  if (only === undefined) return EMPTY_ROOT;
  if (leaves.length === 1) return leafHash(only);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return nodeHash(definedRoot(leaves.slice(0, k)), definedRoot(leaves.slice(k)));
}

const leavesOf = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => Buffer.from(`leaf ${i}`));

function treeOf(leaves: readonly Uint8Array[]): MerkleTree {
  const tree = new MerkleTree();
  for (const leaf of leaves) tree.append(leafHash(leaf));
  return tree;
}

test("the roots are those of Certificate Transparency's published test vectors", () => {
  // Inputs and roots of the reference implementation's merkle tree tests (sizes 0, 1, 2, 3, 8).
  const inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
  const roots = new Map([
    [0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    [1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"],
    [2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    [3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"],
    [8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"],
  ]);
  const tree = treeOf(inputs.map((hex) => fromHex(hex)!));
  for (const [size, root] of roots) assert.equal(toHex(tree.root(size)), root);
});

test("the incremental tree has the defined root at every size up to 130", () => {
  const leaves = leavesOf(130);
  const tree = treeOf(leaves);
  for (let size = 0; size <= 130; size += 1)
    assert.equal(toHex(tree.root(size)), toHex(definedRoot(leaves.slice(0, size))));
});

test("every leaf of every tree up to 40 leaves is proved, and no other index, size, leaf or root with its path", () => {
  const leaves = leavesOf(40).map(leafHash);
  const tree = treeOf(leavesOf(40));
  for (let size = 1; size <= 40; size += 1) {
    const root = tree.root(size);
    for (let index = 0; index < size; index += 1) {
      const path = tree.inclusionPath(index, size);
      assert.equal(verifyInclusion(leaves[index]!, index, size, path, root), true);
      assert.equal(verifyInclusion(leaves[(index + 1) % 40]!, index, size, path, root), false);
      assert.equal(verifyInclusion(leaves[index]!, index + 1, size, path, root), false);
      assert.equal(verifyInclusion(leaves[index]!, index, size, [...path, root], root), false);
      assert.equal(verifyInclusion(leaves[index]!, index, size, path, tree.root(size - 1)), false);
      if (path.length > 0) assert.equal(verifyInclusion(leaves[index]!, index, size, path.slice(1), root), false);
    }
  }
});

test("every pair of sizes up to 40 is proved consistent, and a changed history is not", () => {
  const tree = treeOf(leavesOf(40));
  const changed = treeOf(leavesOf(40).with(0, Buffer.from("another first leaf")));
  for (let newer = 1; newer <= 40; newer += 1) {
    for (let older = 1; older <= newer; older += 1) {
      const path = tree.consistencyPath(older, newer);
      const heads = [
        { size: older, root: tree.root(older) },
        { size: newer, root: tree.root(newer) },
      ] as const;
      assert.equal(verifyConsistency(...heads, path), true);
      assert.equal(verifyConsistency({ size: older, root: changed.root(older) }, heads[1], path), false);
      assert.equal(verifyConsistency(heads[0], { size: newer, root: changed.root(newer) }, path), false);
      if (older < newer) assert.equal(verifyConsistency(heads[0], heads[1], [...path, heads[0].root]), false);
    }
  }
});

test("the empty tree is consistent with every tree, and only it", () => {
  const tree = treeOf(leavesOf(3));
  const newer = { size: 3, root: tree.root() };
  assert.equal(verifyConsistency({ size: 0, root: EMPTY_ROOT }, newer, []), true);
  assert.equal(verifyConsistency({ size: 0, root: tree.root() }, newer, []), false);
});

test("a truncated tree grows again as if nothing had been there", () => {
  check(
    property(nat(70), nat(70), (kept, dropped) => {
      const tree = treeOf(leavesOf(kept + dropped));
      tree.truncate(kept);
      for (const leaf of leavesOf(kept + dropped + 5).slice(kept)) tree.append(leafHash(leaf));
      assert.deepEqual(tree.root(), treeOf(leavesOf(kept + dropped + 5)).root());
    }),
    { numRuns: 50 },
  );
});

test("an index or size beyond the tree is LOG_RANGE", () => {
  const tree = treeOf(leavesOf(3));
  for (const ask of [
    () => tree.root(4),
    () => tree.inclusionPath(3),
    () => tree.inclusionPath(-1),
    () => tree.consistencyPath(4),
  ]) {
    assert.throws(ask, { code: "LOG_RANGE" });
  }
});

test("paths of hostile length or with hashes of another length prove nothing", () => {
  const tree = treeOf(leavesOf(2));
  const leaf = leafHash(Buffer.from("leaf 0"));
  assert.equal(verifyInclusion(leaf, 0, 2, [new Uint8Array(31)], tree.root()), false);
  assert.equal(
    verifyInclusion(
      leaf,
      0,
      Number.MAX_SAFE_INTEGER,
      Array.from({ length: 65 }, () => new Uint8Array(32)),
      tree.root(),
    ),
    false,
  );
  assert.equal(verifyInclusion(leaf, 0.5, 2, tree.inclusionPath(0), tree.root()), false);
});
