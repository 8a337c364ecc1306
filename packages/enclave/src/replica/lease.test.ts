import assert from "node:assert/strict";
import { test } from "node:test";
import { EnclaveError } from "../errors.ts";
import { keepLease } from "./lease.ts";

const settle = async (): Promise<void> => {
  for (let i = 0; i < 5; i += 1) await Promise.resolve();
};

test("a lease is renewed at its half, as often as the broker gives one", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const renewals: number[] = [];
  let seconds = 0;
  const lost: EnclaveError[] = [];
  const stop = keepLease({
    leaseSeconds: 100,
    renew: async () => renewals.push(seconds) && 60,
    onLost: (error) => lost.push(error),
  });
  for (; seconds < 200; seconds += 1) {
    await settle();
    t.mock.timers.tick(1000);
  }
  assert.deepEqual(renewals.slice(0, 3), [49, 79, 109]);
  assert.deepEqual(lost, []);
  stop();
});

test("a lease that cannot be renewed is tried again and again, and over when it ends, not before", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let attempts = 0;
  const lost: string[] = [];
  keepLease({
    leaseSeconds: 100,
    retryMs: 10_000,
    renew: async () => {
      attempts += 1;
      throw new Error("the broker is away");
    },
    onLost: ({ code }) => lost.push(code),
  });
  for (let second = 0; second < 99; second += 1) {
    t.mock.timers.tick(1000);
    await settle();
  }
  assert.ok(attempts >= 4, `${attempts} attempts`);
  assert.deepEqual(lost, []);
  t.mock.timers.tick(1000);
  assert.deepEqual(lost, ["LEASE_ENDED"]);
  t.mock.timers.tick(1_000_000);
  await settle();
  assert.deepEqual(lost, ["LEASE_ENDED"], "it is told once");
});

test("a renewal that hangs does not make a lease longer, and its late answer changes nothing", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const answer = Promise.withResolvers<number>();
  let wasAborted = false;
  const lost: string[] = [];
  keepLease({
    leaseSeconds: 10,
    renew(signal) {
      signal.addEventListener("abort", () => (wasAborted = true));
      return answer.promise;
    },
    onLost: ({ code }) => lost.push(code),
  });
  t.mock.timers.tick(10_000);
  assert.deepEqual([lost, wasAborted], [["LEASE_ENDED"], true]);
  answer.resolve(1000);
  await settle();
  t.mock.timers.tick(1_000_000);
  assert.deepEqual(lost, ["LEASE_ENDED"]);
});

test("a revoked generation ends the lease at once, and a policy without leases ends the watch", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const lost: string[] = [];
  const revoked = new EnclaveError("GENERATION_REVOKED", { what: "w", why: "y", remedy: "r" });
  keepLease({ leaseSeconds: 100, renew: () => Promise.reject(revoked), onLost: ({ code }) => lost.push(code) });
  keepLease({ leaseSeconds: 100, renew: async () => null, onLost: () => assert.fail("nothing was lost") });
  t.mock.timers.tick(50_000);
  await settle();
  assert.deepEqual(lost, ["GENERATION_REVOKED"]);
  t.mock.timers.tick(1_000_000);
});
