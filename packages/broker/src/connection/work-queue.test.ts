import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkQueue } from "./work-queue.ts";

/** Work that ends when the test says so. */
function work(begun: number[], number: number) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const run = (): Promise<void> => {
    begun.push(number);
    return promise;
  };
  return { run, finish: () => resolve() };
}

test("work begins in the order in which it came, as much of it at a time as is allowed", async () => {
  const queue = new WorkQueue(2, 10);
  const begun: number[] = [];
  const works = [0, 1, 2, 3, 4].map((number) => work(begun, number));
  const done = works.map(({ run }) => queue.run(run));
  assert.deepEqual(begun, [0, 1]);
  works[1]?.finish();
  await done[1];
  works[0]?.finish();
  await done[0];
  assert.deepEqual(begun, [0, 1, 2, 3]);
  for (const { finish } of works) finish();
  for (const one of done) await one;
  assert.deepEqual(begun, [0, 1, 2, 3, 4]);
});

test("who leaves while waiting gives up the place in the queue, and the work never begins", async () => {
  const queue = new WorkQueue(1, 1);
  const begun: number[] = [];
  const [first, second, third] = [work(begun, 0), work(begun, 1), work(begun, 2)];
  const running = queue.run(first.run);
  const leaving = new AbortController();
  const left = queue.run(second.run, leaving.signal);
  assert.equal(queue.run(third.run), undefined, "the queue is full");
  leaving.abort(new Error("gone"));
  await assert.rejects(left ?? Promise.resolve(), /gone/);
  const served = queue.run(third.run);
  first.finish();
  third.finish();
  await running;
  await served;
  assert.deepEqual(begun, [0, 2]);
  await assert.rejects(queue.run(second.run, leaving.signal) ?? Promise.resolve(), /gone/);
  await queue.run(() => Promise.resolve());
});
