import { join } from "node:path";
import type { Collateral, TrustAnchor } from "@cloister/attestation";
import { parsePolicy, type Policy, PolicyError, policySha256 } from "@cloister/policy";
import { type ReleaseLog, ReleaseLogError } from "@cloister/release-log";
import { openReleaseLog } from "@cloister/release-log/file";
import { startBroker } from "../broker.ts";
import { BrokerError } from "../broker-error.ts";
import { createServingCa } from "../certificates/serving-ca.ts";
import type { BrokerEvent } from "../monitoring/events.ts";
import { createMetrics } from "../monitoring/metrics.ts";
import type { Broker, BrokerLimits, BundleSource } from "../options.ts";
import { followPolicies, type StoredPolicy } from "../store/follow-policies.ts";
import type { StoredPolicies } from "../store/policy-store.ts";
import type { StoredLog } from "../store/store.ts";
import { type CollateralSettings, keepCollateral, type ServiceCollateral } from "./collateral.ts";
import { startHealth } from "./health.ts";
import { type BrokerIdentity, type IdentityOptions, openIdentity, STATE_FILES } from "./identity.ts";
import { issueOwnTls, keepRenewed } from "./own-certificates.ts";
import { type PolicyReader, readPolicyFile } from "./policy-file.ts";
import { createReadiness } from "./readiness.ts";
import { unservable } from "./servable.ts";
import { watchFile } from "./watch-file.ts";

/**
 * Everything that `cloister broker` decides about the service. With a `store` the policy is the one active there for all brokers; the
 * policy file becomes it when it changes, on `reloadPolicy`, and at a start: always in a file's store, in a server's where there is none.
 */
export interface BrokerServiceOptions extends IdentityOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Liveness, readiness and metrics; none without it. */
  readonly health?: { readonly host: string; readonly port: number };
  readonly policyFile: string;
  readonly readPolicy?: PolicyReader;
  /** Default: in the store, or `release.log` in the state folder where there is none. */
  readonly logFile?: string;
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
/** What a DNS name and the name of a log may both be. */
const DNS_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,113}[A-Za-z0-9])?$/;

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
  const { serverNames, clock = () => new Date() } = options;
  const identity = await openIdentity(options);
  const { keys, authority, logKey, store } = identity;
  if (store !== undefined) cleanup.push(() => store.close());
  const servable = (policy: Policy): Policy => {
    const refusal = unservable(policy, options);
    if (refusal !== undefined) throw refusal;
    return policy;
  };
  const readPolicy = async (): Promise<Policy> =>
    servable(parsePolicy(await readPolicyFile(options.policyFile, options.readPolicy)));
  const { log, stored } = await openLog(identity, options);
  cleanup.push(() => log.close());
  // A file of this machine is for brokers that have one policy file, which counts when one of them starts.
  const isEmbedded = options.store !== undefined && "path" in options.store;
  const active = stored && (await startingPolicy(stored.policies, readPolicy, { fromFile: isEmbedded }));
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
    policy: active === undefined ? await readPolicy() : servable(active.policy),
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
      const policy = await readPolicy();
      // The brokers put it in place when they hear of it, this one too.
      if (stored !== undefined) await stored.policies.activate(policy);
      else broker.replacePolicy(policy);
      return true;
    } catch (error) {
      rejectPolicy(error);
      return false;
    }
  };
  if (stored !== undefined) {
    const ending = new AbortController();
    cleanup.push(() => ending.abort());
    void followPolicies(stored.policies, {
      onPolicy({ policy }) {
        // It counts for all brokers, also for one that cannot serve all of it.
        broker.replacePolicy(policy);
        const refusal = unservable(policy, options);
        if (refusal !== undefined) rejectPolicy(refusal);
      },
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
      readiness: () => readiness.now({ isCertified: clock() < tls.notAfter, isLogBroken: log.isBroken === true }),
      restartFor: () => (log.isBroken === true ? "LOG_BROKEN" : undefined),
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

/** The policy that is active for all brokers: the one of the store, where there is one, or that of the file. */
async function startingPolicy(
  policies: StoredPolicies,
  readPolicy: () => Promise<Policy>,
  { fromFile }: { fromFile: boolean },
): Promise<StoredPolicy> {
  const active = await policies.current();
  if (active !== undefined && !fromFile) return active;
  const policy = await readPolicy();
  return active?.sha256 === policySha256(policy) ? active : policies.activate(policy);
}

/** The name under which a broker's log signs its checkpoints. */
export const logOrigin = (serverName: string): string => `${serverName}/release-log`;

/** The log in a file of its own or in the store. It is named after the broker, and keeps its name. */
async function openLog(
  { store, signingKey }: BrokerIdentity,
  { stateDir, logFile, serverNames }: BrokerServiceOptions,
): Promise<{ log: ReleaseLog; stored?: StoredLog }> {
  const origin = logOrigin(serverNames[0]);
  if (!DNS_NAME.test(serverNames[0])) throw notAName();
  try {
    const stored = logFile === undefined ? await store?.openLog({ origin, signingKey }) : undefined;
    if (stored !== undefined) return { log: stored.log, stored };
    return { log: await openReleaseLog({ path: logFile ?? join(stateDir, STATE_FILES.log), origin, signingKey }) };
  } catch (error) {
    throw error instanceof ReleaseLogError && error.madeAs !== undefined ? nameChanged(error, origin) : error;
  }
}

function notAName(): BrokerError {
  return new BrokerError("BROKER_OPTIONS_INVALID", {
    what: "the broker did not start",
    why: "its first --name is no DNS name of at most 115 characters",
    remedy: "give the name that enclaves connect to",
  });
}

function nameChanged(cause: ReleaseLogError, origin: string): BrokerError {
  const first = cause.madeAs?.slice(0, -logOrigin("").length);
  return new BrokerError(
    "BROKER_NAME_CHANGED",
    {
      what: "the release log was not opened",
      why: `it was made as ${cause.madeAs}, and the broker's first --name now makes it ${origin}`,
      remedy: `give ${first} first and the new name after it (the certificate has both), or another --state-dir for a log that starts anew`,
    },
    { cause },
  );
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
