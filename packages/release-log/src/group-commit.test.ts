import assert from "node:assert/strict";
import { test } from "node:test";
import { GroupCommit } from "./group-commit.ts";

test("what arrives together or during a commit shares the next one, in order and in bounded batches", async () => {
  const batches: number[][] = [];
  const commits = new GroupCommit<number, number>(async (batch) => {
    batches.push(batch.map(({ item }) => item));
    await new Promise((resolve) => setImmediate(resolve));
    for (const { item, resolve } of batch) resolve(item * 2);
  }, 3);
  const first = [1, 2].map((item) => commits.add(item));
  await new Promise((resolve) => setImmediate(resolve));
  const later = [3, 4, 5, 6].map((item) => commits.add(item));
  assert.deepEqual(await Promise.all([...first, ...later]), [2, 4, 6, 8, 10, 12]);
  assert.deepEqual(batches, [[1, 2], [3, 4, 5], [6]]);
});

test("an error rejects what the commit had not settled, and the next commit runs", async () => {
  const failure = new Error("no");
  const commits = new GroupCommit<number, number>(async (batch) => {
    for (const { item, resolve } of batch) if (item === 1) resolve(1);
    if (batch.some(({ item }) => item === 2)) throw failure;
    for (const { item, resolve } of batch) resolve(item);
  }, 10);
  const outcomes = await Promise.allSettled([commits.add(1), commits.add(2)]);
  assert.deepEqual(outcomes, [
    { status: "fulfilled", value: 1 },
    { status: "rejected", reason: failure },
  ]);
  assert.equal(await commits.add(3), 3);
  await commits.idle();
});
