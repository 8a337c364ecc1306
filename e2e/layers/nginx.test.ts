import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect } from "node:tls";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startTestChain } from "../support/chain.ts";

// Needs an nginx with stream support; without one it fails.

test("the chain runs behind nginx, which passes TLS through", async () => {
  const { chain, close } = await startTestChain({ gateway: "nginx" });
  try {
    assert.equal(chain.gateway.kind, "nginx");
    const { report, shares } = await chain.infer({ requests: 500, concurrency: 8 });
    assert.equal(report.failed, 0);
    assert.equal(report.equal, 500);
    assert.deepEqual([...shares.keys()].sort(), ["replica-1", "replica-2"]);

    const results = await chain.attack();
    for (const { name, refused, code } of results) assert.ok(refused, `${name}: ${code ?? "succeeded"}`);

    const config = await readFile(join(chain.folders.host, "gateway/nginx.conf"), "utf8");
    assert.doesNotMatch(config, /ssl_certificate|http \{/);
    assert.match(await issuerBehind(chain.gateway.address, chain.requester), /Cloister serving CA/);
  } finally {
    await close();
  }
});

test("a replica killed behind nginx loses no request and comes back", async () => {
  const { chain, close } = await startTestChain({ gateway: "nginx" });
  try {
    const victim = chain.cluster.running.get("replica-1");
    assert.ok(victim);
    const inference = chain.infer({ requests: 1000, concurrency: 8 });
    await sleep(100);
    process.kill(victim.pid, "SIGKILL");
    const { report } = await inference;
    assert.equal(report.failed, 0);
    assert.equal(report.equal, 1000);
  } finally {
    await close();
  }
});

/** Whose certificate a client sees through the gateway. */
async function issuerBehind(
  address: { readonly host: string; readonly port: number },
  files: { readonly ca: string; readonly cert?: string; readonly key?: string },
): Promise<string> {
  const socket = connect({
    ...address,
    ca: await readFile(files.ca),
    cert: await readFile(files.cert ?? ""),
    key: await readFile(files.key ?? ""),
    servername: "grpc.tf-serving.service.com",
  });
  try {
    await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
    return socket.getPeerX509Certificate()?.issuer ?? "";
  } finally {
    socket.destroy();
  }
}
