import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { createSimulatedPlatform, type SimulatedPlatform } from "@cloister/attestation/simulated";
import { Secret } from "@cloister/encoding";
import type { LogEntry, ReleaseLog } from "@cloister/release-log";
import { type FileReleaseLog, openReleaseLog } from "@cloister/release-log/file";
import { startBroker } from "../broker.ts";
import { BrokerError } from "../broker-error.ts";
import type { BrokerEvent } from "../monitoring/events.ts";
import type { Broker, BrokerOptions, KeySource } from "../options.ts";
import { createTestAuthority, type TestAuthority, testServingCa } from "./authority.ts";
import { testPolicy } from "./policy.ts";

export const WRAP_KEY: Uint8Array = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
export const PASSPHRASE = "correct horse battery staple";

/** Two keys; every call makes a copy, so that a wiped one does not harm the next test. */
export const testKeys: KeySource = {
  async secret(keyId) {
    if (keyId === "digits/1") return new Secret(WRAP_KEY.slice(), "wrap key");
    if (keyId === "phrase") return new Secret(new TextEncoder().encode(PASSPHRASE), "passphrase");
    throw new BrokerError("KEY_UNKNOWN", { what: "no such key", why: "tests have two", remedy: "name one of them" });
  },
};

/** All entries of a log. */
export async function logged(log: ReleaseLog): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const { entry } of log.entries()) entries.push(entry);
  return entries;
}

export interface Harness {
  readonly broker: Broker;
  readonly platform: SimulatedPlatform;
  readonly authority: TestAuthority;
  readonly log: FileReleaseLog;
  readonly logPublicKey: KeyObject;
  readonly logPath: string;
  readonly events: BrokerEvent[];
  /** What a client has to know. */
  readonly server: { readonly port: number; readonly ca: string };
  /** Resolves with the first event, past or coming, that fits. */
  readonly event: (fits: (event: BrokerEvent) => boolean) => Promise<BrokerEvent>;
}

/** A whole broker on a free port: simulated platform, real verifier, log on disk. Everything ends with the test. */
export async function startHarness(
  t: TestContext,
  configure: (platform: SimulatedPlatform) => Partial<BrokerOptions> = () => ({}),
): Promise<Harness> {
  const platform = createSimulatedPlatform({ now: new Date() });
  const authority = createTestAuthority();
  const folder = await mkdtemp(join(tmpdir(), "broker-"));
  const logPath = join(folder, "log");
  const { privateKey: signingKey, publicKey: logPublicKey } = generateKeyPairSync("ed25519");
  const log = await openReleaseLog({ path: logPath, origin: "test/broker", signingKey });
  t.after(async () => {
    await log.close();
    await rm(folder, { recursive: true });
  });
  const events: BrokerEvent[] = [];
  const waiting = new Set<() => void>();
  const broker = await startBroker({
    host: "127.0.0.1",
    port: 0,
    tls: authority.server("broker.test"),
    policy: testPolicy(platform),
    keys: testKeys,
    collateral: (quote) => Promise.resolve(platform.collateralFor(quote)),
    anchors: [platform.trustAnchor],
    log,
    servingCa: testServingCa(authority),
    onEvent(event) {
      events.push(event);
      for (const look of waiting) look();
    },
    ...configure(platform),
  });
  t.after(() => broker.close(50));
  const event = (fits: (event: BrokerEvent) => boolean): Promise<BrokerEvent> =>
    new Promise((resolve) => {
      const look = (): void => {
        const found = events.find(fits);
        if (found === undefined) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      look();
    });
  const server = { port: broker.address.port, ca: authority.certificatePem };
  return { broker, platform, authority, log, logPublicKey, logPath, events, server, event };
}
