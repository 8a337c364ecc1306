import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { restoreSimulatedPlatform } from "@cloister/attestation/simulated";
import { type BrokerEvent, KeyStore, passphraseProtection } from "@cloister/broker";
import { startBrokerService, STATE_FILES } from "@cloister/broker/service";
import { Secret, utf8 } from "@cloister/encoding";

// A broker for the benchmark at size, in a process of its own: key store, policy file and release log are files on the disk, as
// `cloister broker` has them with `--keys` and `--log`. What the benchmark changes while it runs comes as orders.

export interface BrokerJob {
  readonly folder: string;
  /** Saved simulated platform. */
  readonly platform: string;
  readonly keyId: string;
  readonly policy: object;
  readonly bundle: { readonly manifest: Uint8Array; readonly ownerKey: Uint8Array };
  /** Default: the broker's own. */
  readonly connectionsPerAddress?: number;
}

/** `policy` puts another one in place, `collateral` makes what the broker has good or expired, `tell` asks for facts, `stop` ends it. */
export type BrokerOrder =
  | { readonly order: "policy"; readonly policy: object }
  | { readonly order: "collateral"; readonly isExpired: boolean }
  | { readonly order: "tell" | "stop" };

export interface BrokerFacts {
  readonly port: number;
  readonly ca: string;
  /** How long the last order took. */
  readonly orderMs: number;
  readonly logBytes: number;
  readonly logEntries: number;
  readonly rssBytes: number;
  /** Events by type and code. */
  readonly events: Readonly<Record<string, number>>;
}

const EXPIRED_AGE_MS = 60 * 86_400_000;

process.once("message", (job: BrokerJob) => void serve(job));

async function serve(job: BrokerJob): Promise<void> {
  const { bundle, connectionsPerAddress } = job;
  const platform = restoreSimulatedPlatform(new Secret(utf8(job.platform), "platform"));
  const protection = passphraseProtection(new Secret(utf8("known to everybody who reads this"), "passphrase"));
  const policyFile = join(job.folder, "policy.json");
  await writeFile(policyFile, JSON.stringify(job.policy));
  const keys = await KeyStore.open({ path: join(job.folder, STATE_FILES.keys), protection });
  await keys.generate(job.keyId);
  const good = platform.collateral();
  const expired = platform.collateral({ issuedAt: new Date(Date.now() - EXPIRED_AGE_MS) });
  let isExpired = false;
  const events: Record<string, number> = {};
  let logEntries = 0;
  const observe = (event: BrokerEvent): void => {
    const name = "code" in event && event.code !== null ? `${event.type} ${event.code}` : event.type;
    events[name] = (events[name] ?? 0) + 1;
    if ("logIndex" in event && event.logIndex !== null) logEntries += 1;
  };
  const service = await startBrokerService({
    listen: { host: "127.0.0.1", port: 0 },
    stateDir: job.folder,
    protection,
    policyFile,
    serverNames: ["broker.test"],
    anchors: [platform.trustAnchor],
    bundles: { bundle: () => Promise.resolve(bundle) },
    collateral: () => Promise.resolve(isExpired ? expired : good),
    onEvent: observe,
    ...(connectionsPerAddress !== undefined && { limits: { connectionsPerAddress } }),
  });
  const tell = async (orderMs: number): Promise<void> => {
    const facts: BrokerFacts = {
      port: service.address.port,
      ca: service.authority,
      orderMs,
      logBytes: (await stat(join(job.folder, STATE_FILES.log))).size,
      logEntries,
      rssBytes: process.memoryUsage().rss,
      events: { ...events },
    };
    process.send?.(facts);
  };
  const obey = async (order: BrokerOrder): Promise<void> => {
    if (order.order === "stop") {
      await service.close();
      process.disconnect();
      return;
    }
    const orderedAt = performance.now();
    if (order.order === "collateral") isExpired = order.isExpired;
    if (order.order === "policy") {
      await writeFile(policyFile, JSON.stringify(order.policy));
      await service.reloadPolicy();
    }
    await tell(performance.now() - orderedAt);
  };
  process.on("message", (order: BrokerOrder) => void obey(order));
  await tell(0);
}
