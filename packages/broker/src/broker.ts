import { parsePolicy, type Policy, PolicyError, policySha256 } from "@cloister/policy";
import type { ReleaseLog } from "@cloister/release-log";
import type { ActivePolicy } from "./admission/appraisal.ts";
import { type BrokerEvent, tellsLogWritable } from "./monitoring/events.ts";
import { listen } from "./connection/listener.ts";
import type { Broker, BrokerLimits, BrokerOptions } from "./options.ts";
import { ReplayGuard } from "./admission/replay-guard.ts";
import { serveSession, type SessionContext } from "./connection/session.ts";
import { rememberingVerifier, serviceClients } from "./admission/verifiers.ts";
import { WorkQueue } from "./connection/work-queue.ts";

/** Fit for a cluster of some hundred replicas that all start at once. */
export const DEFAULT_LIMITS: BrokerLimits = {
  connections: 1024,
  connectionsPerAddress: 256,
  displaceAfterMs: 1000,
  pendingAppraisals: 512,
  handshakeTimeoutMs: 10_000,
  idleTimeoutMs: 10_000,
  connectionTimeoutMs: 60_000,
};
/** Appraisals that may wait for collateral or the log at one time; the checks themselves take turns on one thread. */
const CONCURRENT_APPRAISALS = 64;
/** The newest releases of the log whose keys are remembered from before a restart. */
const REMEMBERED_RELEASES = 100_000;
const DEFAULT_GRACE_MS = 1000;

const LOG_ALARMS = {
  LOG_UNAVAILABLE: "the release log takes no entries, so nothing is released; look at its disk",
  LOG_BROKEN:
    "the release log is not written to any more, so nothing is released; look at its disk and restart the broker",
} as const;

/**
 * Starts the secret provisioning service: Gramine's RA-TLS protocol, a policy in place of its callback, a log entry before
 * every secret. Resolves when it listens. Rejects with the error of the listener (port taken) or of the log.
 */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const clock = options.clock ?? ((): Date => new Date());
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  let active = activate(options.policy);
  const emit = alarmingOnLog(quietly(options.onEvent), options.log);
  const context: SessionContext = {
    keys: options.keys,
    collateral: options.collateral,
    log: options.log,
    appraise: options.appraise ?? rememberingVerifier(options.anchors),
    askService: options.askService ?? serviceClients(clock),
    clock,
    guard: await rememberReleases(options.log),
    currentPolicy: () => active,
    queue: new WorkQueue(CONCURRENT_APPRAISALS, limits.pendingAppraisals),
    servingCa: options.servingCa,
    emit,
    ...(options.bundles !== undefined && { bundles: options.bundles }),
  };
  const now = (): string => clock().toISOString();
  const listener = await listen({
    host: options.host,
    port: options.port,
    tls: options.tls,
    limits,
    onSecure: (socket, connection) => serveSession(socket, connection, context),
    onClosed({ address, endedFor }) {
      if (endedFor !== undefined) emit({ type: "connection", time: now(), address, code: endedFor });
    },
    onError(error) {
      emit({ type: "alarm", time: now(), code: "INTERNAL_ERROR", reason: reasonOf(error) });
    },
  });
  const replacePolicy = (policy: Policy): void => {
    active = activate(policy);
    emit({ type: "policy", time: now(), policySha256: active.sha256 });
  };
  return {
    address: listener.address,
    replacePolicy,
    reloadPolicy(value) {
      try {
        replacePolicy(parsePolicy(value));
        return true;
      } catch (error) {
        // A policy's errors name paths, never values.
        const reason = error instanceof PolicyError ? error.message : reasonOf(error);
        emit({ type: "alarm", time: now(), code: "POLICY_REJECTED", reason });
        return false;
      }
    },
    replaceTls: (tls) => listener.replaceTls(tls),
    close: (graceMs = DEFAULT_GRACE_MS) => listener.close(graceMs),
  };
}

function activate(policy: Policy): ActivePolicy {
  return { policy, sha256: policySha256(policy) };
}

async function rememberReleases(log: ReleaseLog): Promise<ReplayGuard> {
  const guard = new ReplayGuard(REMEMBERED_RELEASES);
  for await (const { entry } of log.entries(Math.max(0, log.size - REMEMBERED_RELEASES))) {
    if (entry.decision === "released" && entry.peerKeySha256 !== null) guard.add(entry.peerKeySha256);
  }
  return guard;
}

/** An operator's handler that throws must not take a release down. */
function quietly(handler: BrokerOptions["onEvent"]): (event: BrokerEvent) => void {
  return (event) => {
    try {
      handler?.(event);
    } catch {
      // Nobody is left to tell.
    }
  };
}

/** An alarm when the log stops taking entries, and none again until it took one. */
function alarmingOnLog(emit: (event: BrokerEvent) => void, log: ReleaseLog): (event: BrokerEvent) => void {
  let wasWritable = true;
  return (event) => {
    emit(event);
    const isWritable = tellsLogWritable(event) ?? wasWritable;
    if (wasWritable && !isWritable) {
      const code = log.isBroken === true ? "LOG_BROKEN" : "LOG_UNAVAILABLE";
      emit({ type: "alarm", time: event.time, code, reason: LOG_ALARMS[code] });
    }
    wasWritable = isWritable;
  };
}

/** A name and a code, never a message: messages of foreign errors may quote what they were given. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? `${error.name} ${error.code}` : error.name;
}
