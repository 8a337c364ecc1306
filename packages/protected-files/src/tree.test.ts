import assert from "node:assert/strict";
import { suite, test } from "node:test";
import * as fc from "fast-check";
import {
  childEntryOffset,
  childrenFirst,
  dataNodeNumber,
  groupOf,
  mhtNodeNumber,
  NODE_BYTES,
  parentOf,
  pathFromRoot,
  treeShape,
} from "./tree.ts";

suite("tree arithmetic", () => {
  for (const [size, nodes] of [
    [0, 1],
    [3072, 1],
    [3073, 3],
    [7168, 3],
    [7169, 4],
    [396_288, 98],
    [396_289, 100],
    [12_979_300, 3204],
    [415_636_487, 102_533],
  ] as const) {
    test(`${size} bytes take ${nodes} nodes`, () => {
      assert.equal(treeShape(size).nodes, nodes);
    });
  }

  test("node 33 is the first below another than the root, node 1057 the first on the third level", () => {
    assert.equal(parentOf(32), 0);
    assert.equal(parentOf(33), 1);
    assert.deepEqual(pathFromRoot(1057), [0, 1, 33, 1057]);
    assert.deepEqual(pathFromRoot(1056), [0, 32, 1056]);
    assert.equal(childEntryOffset(33), 3072);
    assert.equal(childEntryOffset(32), NODE_BYTES - 32);
  });

  const sizes = fc.integer({ min: 3073, max: 2_000_000_000 });

  test("physical nodes of groups follow one another without gap, in any size", () => {
    fc.assert(
      fc.property(sizes, (size) => {
        const shape = treeShape(size);
        const last = groupOf(shape, shape.mhtNodes - 1);
        assert.equal(last.offset + last.lengthBytes, size);
        assert.equal(dataNodeNumber(last.firstData), mhtNodeNumber(last.mht) + 1);
        assert.equal(mhtNodeNumber(last.mht) + 1 + last.dataNodes, shape.nodes);
      }),
    );
  });

  test("a writer meets every node once, children first, and few wait for their parent", () => {
    fc.assert(
      fc.property(fc.integer({ min: 3073, max: 800_000_000 }), (size) => {
        const shape = treeShape(size);
        const waiting = new Set<number>();
        let met = 0;
        let most = 0;
        for (const mht of childrenFirst(shape)) {
          for (let child = mht * 32 + 1; child <= mht * 32 + 32 && child < shape.mhtNodes; child += 1) {
            assert.ok(waiting.delete(child), `${child} comes before ${mht}`);
          }
          waiting.add(mht);
          met += 1;
          most = Math.max(most, waiting.size);
        }
        assert.equal(met, shape.mhtNodes);
        assert.deepEqual([...waiting], [0]);
        assert.ok(most <= 3 * 32 + 1, `${most} wait`);
      }),
      { numRuns: 30 },
    );
  });
});
