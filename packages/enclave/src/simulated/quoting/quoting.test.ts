import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { appraise } from "@cloister/attestation";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import { EnclaveError } from "../../errors.ts";
import { remoteQuotes } from "./client.ts";
import { startQuotingService } from "./service.ts";

async function withService(run: (path: string, platform: ReturnType<typeof createSimulatedPlatform>) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), "cloister-quoting-"));
  const path = join(folder, "quoting.sock");
  const platform = createSimulatedPlatform({ now: new Date() });
  const service = await startQuotingService(path, platform);
  try {
    await run(path, platform);
  } finally {
    await service.close();
    await rm(folder, { recursive: true });
  }
}

test("a quote from the node's service is appraised under the installation's own anchor, and carries what was asked for", async () => {
  await withService(async (path, platform) => {
    const reportData = new Uint8Array(randomBytes(64));
    const mrenclave = new Uint8Array(randomBytes(32));
    const quotes = remoteQuotes(path);
    const quote = await quotes.quote({ reportData, mrenclave, mrsigner: new Uint8Array(32), isvSvn: 3 });
    const claims = appraise({ quote }, platform.collateralFor(quote), [platform.trustAnchor], new Date());
    assert.deepEqual(claims.reportData, reportData);
    assert.equal(claims.simulated, true);
    assert.equal((await stat(path)).mode & 0o777, 0o666);
  });
});

test("what is no request gets a refusal, and the service goes on", async () => {
  await withService(async (path) => {
    for (const line of ["{}\n", "not json\n", `${"x".repeat(5000)}\n`, '{"reportData":"00","mrenclave":"00"}\n']) {
      const socket = connect(path);
      socket.write(line);
      assert.equal(await text(socket), '{"error":"REQUEST_INVALID"}\n');
    }
  });
});

test("without a service there is no quote", async () => {
  const options = { reportData: new Uint8Array(64), mrenclave: new Uint8Array(32), mrsigner: new Uint8Array(32) };
  await assert.rejects(
    async () => remoteQuotes("/nonexistent/quoting.sock").quote(options),
    (error) => error instanceof EnclaveError && error.code === "PLATFORM_QUOTE_FAILED",
  );
});
