import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { hedged } from "./hedge.ts";

test("a slow call is sent once more, the faster one wins and the slower one is cancelled", async () => {
  const signals: AbortSignal[] = [];
  const answer = await hedged(10, undefined, async (signal) => {
    const index = signals.push(signal);
    await sleep(index === 1 ? 5000 : 1, undefined, { signal });
    return index;
  });
  assert.equal(answer, 2);
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, true],
  );
});

test("a call that is in time is sent once", async () => {
  let calls = 0;
  await hedged(50, undefined, async () => ++calls);
  await sleep(60);
  assert.equal(calls, 1);
});

test("a call that fails before its time fails at once, with its own error", async () => {
  let calls = 0;
  const failing = hedged(1000, undefined, async () => {
    calls++;
    throw new RangeError("first");
  });
  await assert.rejects(failing, RangeError);
  assert.equal(calls, 1);
});
