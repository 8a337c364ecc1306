import { createPrivateKey } from "node:crypto";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";
import type { ReleaseLog } from "@cloister/release-log";
import { openReleaseLog } from "@cloister/release-log/file";
import { startBroker } from "../broker.ts";
import { openStore } from "../store/store.ts";
import { createTestAuthority } from "./authority.ts";
import { testKeys } from "./harness.ts";
import { testPolicy } from "./policy.ts";
import { createEnclave } from "./stock-client.ts";

// A broker in a process of its own, for tests that kill it. Prints one JSON line: what a client needs, and enclaves to be,
// since the simulated platform lives here.

const [path = "", signingKeyPem = "", count = "0"] = process.argv.slice(2);
const platform = createSimulatedPlatform({ now: new Date() });
const authority = createTestAuthority();
const enclaves: { certificateDer: string; privateKey: string }[] = [];
for (let i = 0; i < Number(count); i += 1) {
  const { certificateDer, privateKey } = await createEnclave(platform);
  enclaves.push({
    certificateDer: Buffer.from(certificateDer).toString("base64"),
    privateKey: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
  });
}
const broker = await startBroker({
  host: "127.0.0.1",
  port: 0,
  tls: authority.server("broker.test"),
  policy: testPolicy(platform),
  keys: testKeys,
  collateral: (quote) => Promise.resolve(platform.collateralFor(quote)),
  anchors: [platform.trustAnchor],
  log: await openLog(),
});

/** In a database, or in a file of its own. */
async function openLog(): Promise<ReleaseLog> {
  const options = { origin: "test/broker", signingKey: createPrivateKey(signingKeyPem) };
  if (!path.endsWith(".db")) return openReleaseLog({ path, ...options });
  return (await (await openStore({ path })).openLog(options)).log;
}

process.stdout.write(`${JSON.stringify({ port: broker.address.port, ca: authority.certificatePem, enclaves })}\n`);
