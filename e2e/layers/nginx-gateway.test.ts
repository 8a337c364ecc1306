import assert from "node:assert/strict";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { ConnectionRecord, GatewayLimits } from "../../packages/deploy/src/gateway/gateway.ts";
import { findNginx, startNginx } from "../../packages/deploy/src/gateway/nginx.ts";
import { describeGateway } from "../../packages/deploy/src/gateway/testing/behaviour.ts";

// Needs an nginx with stream support; without one it fails.

async function openNginx(limits?: GatewayLimits) {
  const nginx = await findNginx();
  assert.ok(nginx, "no nginx with stream support is installed");
  const runDir = await mkdtemp(join(tmpdir(), "cloister-nginx-"));
  const accessLog = join(runDir, "access.log");
  const gateway = await startNginx({ host: "127.0.0.1", port: 0, nginx, runDir, accessLog, ...(limits && { limits }) });
  return { gateway, accessLog };
}

describeGateway("nginx", async (limits) => {
  const { gateway, accessLog } = await openNginx(limits);
  return {
    gateway,
    records: async () => {
      const lines = (await readFile(accessLog, "utf8")).trim().split("\n");
      return lines.map((line) => JSON.parse(line) as Partial<ConnectionRecord>);
    },
  };
});

test("routes that nginx refuses leave those before in place", async () => {
  const { gateway } = await openNginx();
  try {
    const unresolvable = { id: "gone", host: "no-such-host.invalid", port: 1 };
    await assert.rejects(gateway.setRoutes([{ serverName: "*", backends: [unresolvable] }]), { code: "NGINX_REFUSED" });
  } finally {
    await gateway.close();
  }
});
