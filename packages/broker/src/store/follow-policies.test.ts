import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { REFUSE_ALL } from "@cloister/policy";
import { followPolicies, type PolicySource, type StoredPolicy } from "./follow-policies.ts";

const stored = (sequence: number): StoredPolicy => ({ policy: REFUSE_ALL, sha256: String(sequence), sequence });

/** A source whose answers the test sets, and a follower of it that polls every 20 ms. */
function follow(t: TestContext, sequence: number) {
  let answer: () => Promise<StoredPolicy | undefined> = () => Promise.resolve(undefined);
  const wakers: (() => void)[] = [];
  const source: PolicySource = {
    current: () => answer(),
    listen: (wake) => Promise.resolve(void wakers.push(wake)),
  };
  const [seen, errors]: [number[], unknown[]] = [[], []];
  const ending = new AbortController();
  t.after(() => ending.abort());
  const done = followPolicies(source, {
    sequence,
    pollMs: 20,
    signal: ending.signal,
    onPolicy: (policy) => seen.push(policy.sequence),
    onError: (error) => errors.push(error),
  });
  const set = (next: typeof answer): void => void (answer = next);
  return { seen, errors, set, wake: () => wakers.at(-1)?.(), end: () => ending.abort(), done };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test("newer policies are put in place once each, the one known before and older ones not", async (t) => {
  const { seen, set } = follow(t, 3);
  for (const sequence of [3, 4, 4, 2, 5]) {
    set(() => Promise.resolve(stored(sequence)));
    await pause(80);
  }
  assert.deepEqual(seen, [4, 5]);
});

test("a failure is told once, keeps the last policy, and is told again after it went right", async (t) => {
  const { seen, errors, set } = follow(t, 0);
  const fail = (): Promise<never> => Promise.reject(new Error("gone"));
  set(fail);
  await pause(120);
  set(() => Promise.resolve(stored(1)));
  await pause(80);
  set(fail);
  await pause(120);
  assert.equal(errors.length, 2);
  assert.deepEqual(seen, [1]);
});

test("following ends with its signal, also while it waits", async (t) => {
  const { end, done } = follow(t, 0);
  await pause(30);
  end();
  await done;
});
