import assert from "node:assert/strict";
import { test } from "node:test";
import { BrokerError } from "@cloister/broker/client";
import { withPatience } from "./patience.ts";

const broker = (code: ConstructorParameters<typeof BrokerError>[0], ...refusedFor: readonly string[]): BrokerError =>
  new BrokerError(code, { what: "w", why: "y", remedy: "r" }, { refusedFor });

/** Fails with each error in turn, then succeeds. */
function failing(...errors: readonly Error[]) {
  const left = [...errors];
  return (): Promise<string> => {
    const error = left.shift();
    return error === undefined ? Promise.resolve("done") : Promise.reject(error);
  };
}

test("what passes on its own is tried again, with growing pauses", async () => {
  const retries: [string, number][] = [];
  const result = await withPatience(
    failing(broker("BROKER_UNREACHABLE"), broker("CONNECTION_LOST"), broker("PROVISIONING_REFUSED", "BROKER_BUSY")),
    { waitMs: 60_000, onRetry: (...retry) => retries.push(retry), random: () => 0 },
  );
  assert.equal(result, "done");
  assert.deepEqual(retries, [
    ["BROKER_UNREACHABLE", 125],
    ["CONNECTION_LOST", 250],
    ["PROVISIONING_REFUSED", 500],
  ]);
});

for (const code of ["COLLATERAL_EXPIRED", "ROOT_CRL_EXPIRED", "TCB_INFO_EXPIRED"]) {
  test(`${code}: collateral that the broker let expire is the broker's matter, it is waited for`, async () => {
    const work = failing(broker("PROVISIONING_REFUSED", code));
    assert.equal(await withPatience(work, { waitMs: 60_000, onRetry: () => undefined, random: () => 0 }), "done");
  });
}

for (const error of [
  broker("BROKER_NOT_TRUSTED"),
  broker("PROVISIONING_REFUSED", "MEASUREMENT_NOT_ALLOWED"),
  broker("PROVISIONING_REFUSED", "PCK_CHAIN_EXPIRED"),
  broker("PROVISIONING_REFUSED", "BROKER_BUSY", "MEASUREMENT_NOT_ALLOWED"),
  broker("PROVISIONING_REFUSED"),
  new Error("a defect"),
]) {
  const codes = error instanceof BrokerError ? [error.code, ...error.refusedFor].join(" ") : error.message;
  test(`${codes} is final`, async () => {
    const work = failing(error);
    await assert.rejects(withPatience(work, { waitMs: 60_000, onRetry: () => assert.fail("tried again") }), error);
  });
}

test("without a time to wait there is one attempt", async () => {
  const work = failing(broker("BROKER_UNREACHABLE"));
  await assert.rejects(withPatience(work, { waitMs: 0, onRetry: () => assert.fail("tried again") }), {
    code: "BROKER_UNREACHABLE",
  });
});

test("a signal ends the waiting at once", async () => {
  const stopping = new AbortController();
  const waiting = withPatience(failing(broker("BROKER_UNREACHABLE")), {
    waitMs: 1e9,
    onRetry: () => stopping.abort(),
    signal: stopping.signal,
    random: () => 1e6,
  });
  await assert.rejects(waiting, { code: "BROKER_UNREACHABLE" });
});
