import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Collateral, TrustAnchor } from "@cloister/attestation";
import { asBuffer, Secret, utf8 } from "@cloister/encoding";
import { parsePolicy, type Policy, PolicyError } from "@cloister/policy";
import { openReleaseLog } from "@cloister/release-log/file";
import { startBroker } from "../broker.ts";
import { BrokerError } from "../broker-error.ts";
import { createServingCa } from "../certificates/serving-ca.ts";
import type { BrokerEvent } from "../monitoring/events.ts";
import { KeyStore } from "../keys/key-store.ts";
import type { KeyProtection } from "../keys/protection.ts";
import { createMetrics } from "../monitoring/metrics.ts";
import type { Broker, BrokerLimits, BundleSource } from "../options.ts";
import { followPolicies, type StoredPolicy } from "../store/follow-policies.ts";
import type { PostgresSettings } from "../store/postgres/connection.ts";
import type { PostgresPolicies } from "../store/postgres/policy-store.ts";
import { openPostgresStore } from "../store/postgres/store.ts";
import { type CollateralSettings, keepCollateral, type ServiceCollateral } from "./collateral.ts";
import { startHealth } from "./health.ts";
import { issueOwnTls, keepRenewed, openOwnAuthority } from "./own-certificates.ts";
import { type PolicyReader, readPolicyFile } from "./policy-file.ts";
import { createReadiness } from "./readiness.ts";
import { watchFile } from "./watch-file.ts";

/** Everything that `cloister broker` decides about the service. */
export interface BrokerServiceOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Liveness, readiness and metrics; none without it. */
  readonly health?: { readonly host: string; readonly port: number };
  /** Folder for authority, release log and keys; made with mode 0700. */
  readonly stateDir: string;
  /** Default `keys.json` in the state folder. */
  readonly keysFile?: string;
  readonly protection: KeyProtection;
  readonly policyFile: string;
  readonly readPolicy?: PolicyReader;
  /** Default `release.log` in the state folder. */
  readonly logFile?: string;
  /**
   * A database that several brokers share, in place of both files. The policy is then the one active there; the policy file is
   * taken at the first start, and for all brokers when it changes or on `reloadPolicy`.
   */
  readonly store?: PostgresSettings;
  /** Names that enclaves connect to, for the broker's certificate; the first one also names the log. */
  readonly serverNames: readonly [string, ...string[]];
  readonly serverAddresses?: readonly string[];
  readonly certificateDays?: number;
  readonly allowTls13?: boolean;
  /** A service to ask, whose answers are kept in the state folder; or a function that gives collateral for quotes. */
  readonly collateral: CollateralSettings | ((quote: Uint8Array) => Promise<Collateral>);
  readonly anchors: readonly TrustAnchor[];
  readonly bundles?: BundleSource;
  /** PEM of the authority that requesters' certificates are from. */
  readonly clientCa?: string;
  readonly limits?: Partial<BrokerLimits>;
  readonly clock?: () => Date;
  readonly onEvent?: (event: BrokerEvent) => void;
  /** How often files, the certificate and collateral are looked at. Default 1 s, 1 h and 1 min. */
  readonly intervals?: { readonly filesMs: number; readonly certificateMs: number; readonly collateralMs?: number };
}

export interface BrokerService {
  readonly address: Broker["address"];
  readonly health: Broker["address"] | undefined;
  /** PEM of the authority that enclaves have to trust. */
  readonly authority: string;
  /** PEM of the key that the release log is signed with. */
  readonly logKey: string;
  /** Reads the policy again, as a change of the file and SIGHUP do. False where the last good one stays. */
  reloadPolicy(): Promise<boolean>;
  /** Stops taking connections, finishes those in progress for at most `graceMs`, closes the log. Safe to call twice. */
  close(graceMs?: number): Promise<void>;
}

const CERTIFICATE_DAYS = 30;

/** Where a state folder keeps what peers and auditors need. */
export const STATE_FILES = {
  keys: "keys.json",
  log: "release.log",
  authority: "ca.pem",
  logKey: "log-key.pem",
  /** A folder of sets. */
  collateral: "collateral",
} as const;

/**
 * Brings the provisioning service up from its files: keys, authority and log key are made at the first start. Throws the
 * error of the part that refused; nothing is left running then.
 */
export async function startBrokerService(options: BrokerServiceOptions): Promise<BrokerService> {
  const cleanup: (() => Promise<void> | void)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const step of cleanup.splice(0).reverse()) await step();
  };
  try {
    return await bringUp(options, cleanup, closeAll);
  } catch (error) {
    await closeAll();
    throw error;
  }
}

async function bringUp(
  options: BrokerServiceOptions,
  cleanup: (() => Promise<void> | void)[],
  closeAll: () => Promise<void>,
): Promise<BrokerService> {
  const { stateDir, serverNames, clock = () => new Date() } = options;
  await mkdir(stateDir, { recursive: true, mode: 0o700 });
  const readPolicy = async () => parsePolicy(await readPolicyFile(options.policyFile, options.readPolicy));
  const store = options.store && (await openPostgresStore(options.store));
  if (store !== undefined) cleanup.push(() => store.close());
  const path = options.keysFile ?? join(stateDir, STATE_FILES.keys);
  const { protection } = options;
  const keys = await KeyStore.open(
    store === undefined ? { path, protection, clock } : { storage: store.keyStorage, protection, clock },
  );
  const authority = await openOwnAuthority(keys, { name: "Cloister broker CA", now: clock() });
  const signingKey = await openLogKey(keys);
  const logKey = publicPem(signingKey);
  await writeFile(join(stateDir, STATE_FILES.authority), authority.certificate);
  await writeFile(join(stateDir, STATE_FILES.logKey), logKey);
  const origin = logOrigin(serverNames[0]);
  const shared = await store?.openLog({ origin, signingKey });
  const log =
    shared?.log ??
    (await openReleaseLog({ path: options.logFile ?? join(stateDir, STATE_FILES.log), origin, signingKey }));
  cleanup.push(() => log.close());
  const active = shared && (await startingPolicy(shared.policies, readPolicy));
  const metrics = createMetrics();
  const readiness = createReadiness(clock);
  const onEvent = (event: BrokerEvent): void => {
    metrics.observe(event);
    readiness.observe(event);
    options.onEvent?.(event);
  };
  const issue = () =>
    issueOwnTls(authority, {
      dnsNames: serverNames,
      ipAddresses: options.serverAddresses ?? [],
      validityDays: options.certificateDays ?? CERTIFICATE_DAYS,
      now: clock(),
    });
  let tls = issue();
  const { collateral, gauges: collateralGauges, stop: stopCollateral } = collateralOf(options, { clock, onEvent });
  cleanup.push(stopCollateral);
  const broker = await startBroker({
    ...options.listen,
    tls: { ...tls, allowTls13: options.allowTls13 ?? false },
    policy: active?.policy ?? (await readPolicy()),
    keys,
    collateral,
    anchors: options.anchors,
    log,
    clock,
    onEvent,
    servingCa: createServingCa({
      authority,
      clock,
      ...(options.clientCa !== undefined && { clientCa: options.clientCa }),
    }),
    ...(options.bundles !== undefined && { bundles: options.bundles }),
    ...(options.limits !== undefined && { limits: options.limits }),
  });
  let graceMs: number | undefined;
  cleanup.push(() => broker.close(graceMs));
  const stopRenewing = keepRenewed({
    clock,
    current: () => tls,
    renew() {
      tls = issue();
      broker.replaceTls(tls);
      onEvent({ type: "certificate", time: clock().toISOString(), notAfter: tls.notAfter.toISOString() });
    },
    ...(options.intervals !== undefined && { checkEveryMs: options.intervals.certificateMs }),
  });
  cleanup.push(stopRenewing);
  const rejectPolicy = (error: unknown): void => {
    const reason = error instanceof BrokerError || error instanceof PolicyError ? error.message : "unknown";
    onEvent({ type: "alarm", time: clock().toISOString(), code: "POLICY_REJECTED", reason });
  };
  const reloadPolicy = async (): Promise<boolean> => {
    try {
      const value = await readPolicyFile(options.policyFile, options.readPolicy);
      // The brokers put it in place when they hear of it, this one too.
      if (shared !== undefined) await shared.policies.activate(parsePolicy(value));
      return shared !== undefined || broker.reloadPolicy(value);
    } catch (error) {
      rejectPolicy(error);
      return false;
    }
  };
  if (shared !== undefined) {
    const ending = new AbortController();
    cleanup.push(() => ending.abort());
    void followPolicies(shared.policies, {
      onPolicy: ({ policy }) => broker.replacePolicy(policy),
      onError: rejectPolicy,
      signal: ending.signal,
      sequence: active?.sequence ?? 0,
    });
  }
  cleanup.push(await watchFile(options.policyFile, () => void reloadPolicy(), options.intervals?.filesMs));
  const listener =
    options.health &&
    (await startHealth({
      ...options.health,
      readiness: () => readiness.now({ isCertified: clock() < tls.notAfter }),
      metrics: () => metrics.render() + gauges(log.size, tls.notAfter) + collateralGauges(),
    }));
  if (listener !== undefined) cleanup.push(() => listener.close());
  return {
    address: broker.address,
    health: listener?.address,
    authority: authority.certificate,
    logKey,
    reloadPolicy,
    close(grace) {
      graceMs = grace;
      return closeAll();
    },
  };
}

function collateralOf(
  { collateral, anchors, stateDir, intervals }: BrokerServiceOptions,
  { clock, onEvent }: { clock: () => Date; onEvent: (event: BrokerEvent) => void },
): ServiceCollateral {
  if (typeof collateral === "function") return { collateral, gauges: () => "", stop: () => Promise.resolve() };
  const folder = join(stateDir, STATE_FILES.collateral);
  const checkEveryMs = intervals?.collateralMs;
  return keepCollateral(collateral, { anchors, clock, folder, onEvent, ...(checkEveryMs && { checkEveryMs }) });
}

/** The policy that is active for all brokers; the first of them puts its file's there. */
async function startingPolicy(policies: PostgresPolicies, readPolicy: () => Promise<Policy>): Promise<StoredPolicy> {
  return (await policies.current()) ?? policies.activate(await readPolicy());
}

/** The name under which a broker's log signs its checkpoints. */
export const logOrigin = (serverName: string): string => `${serverName}/release-log`;

async function openLogKey(keys: KeyStore): Promise<KeyObject> {
  const kept = await keys.keep("log-key", () => {
    const { privateKey } = generateKeyPairSync("ed25519");
    return new Secret(utf8(privateKey.export({ type: "pkcs8", format: "pem" }) as string), "log key");
  });
  try {
    return createPrivateKey(asBuffer(kept.reveal()));
  } finally {
    kept.wipe();
  }
}

function publicPem(key: KeyObject): string {
  return createPublicKey(key).export({ type: "spki", format: "pem" }) as string;
}

function gauges(logSize: number, notAfter: Date): string {
  return [
    "# TYPE cloister_broker_log_entries gauge",
    `cloister_broker_log_entries ${logSize}`,
    "# TYPE cloister_broker_certificate_expiry_seconds gauge",
    `cloister_broker_certificate_expiry_seconds ${Math.floor(notAfter.getTime() / 1000)}`,
    "",
  ].join("\n");
}
