import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "node:test";
import { startTestChain } from "./support/chain.ts";

test("a replica killed during 1,000 requests loses none, and comes back attested anew", async () => {
  const { chain, events, close } = await startTestChain();
  try {
    const victim = chain.cluster.running.get("replica-1");
    assert.ok(victim);
    const released = (): number => events.filter(({ type }) => type === "released").length;
    assert.equal(released(), 2);

    const inference = chain.infer({ requests: 1000, concurrency: 8 });
    await sleep(100);
    process.kill(victim.pid, "SIGKILL");
    const { report } = await inference;
    assert.equal(report.requests, 1000);
    assert.equal(report.failed, 0);
    assert.equal(report.equal, 1000);

    await waitFor(() => {
      const again = chain.cluster.running.get("replica-1");
      return again !== undefined && again.pid !== victim.pid;
    });
    assert.equal(released(), 3, "the new process was appraised and logged on its own");
    const { shares } = await chain.infer({ requests: 100, concurrency: 8 });
    assert.deepEqual([...shares.keys()].sort(), ["replica-1", "replica-2"], "both replicas get traffic again");
  } finally {
    await close();
  }
});

async function waitFor(condition: () => boolean): Promise<void> {
  for (let waitedMs = 0; !condition(); waitedMs += 50) {
    assert.ok(waitedMs < 30_000, "the replica did not come back in 30 s");
    await sleep(50);
  }
}
