import assert from "node:assert/strict";
import { test } from "node:test";
import { startHealth } from "./health.ts";

test("liveness fails with the reason where only a restart helps", async (t) => {
  let reason: string | undefined;
  const health = await startHealth({
    host: "127.0.0.1",
    port: 0,
    readiness: () => ({ ready: true, reasons: [] }),
    restartFor: () => reason,
    metrics: () => "",
  });
  t.after(() => health.close());
  const live = async (): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${health.address.port}/livez`);
    return [response.status, await response.text()];
  };
  assert.deepEqual(await live(), [200, "ok\n"]);
  reason = "LOG_BROKEN";
  assert.deepEqual(await live(), [503, "LOG_BROKEN\n"]);
});
