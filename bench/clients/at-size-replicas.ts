import { createPrivateKey } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { BrokerError, provision } from "@cloister/broker/client";
import { withPatience } from "@cloister/enclave";
import { restoreSimulatedPlatform } from "@cloister/attestation/simulated";
import { isCodedError, Secret, utf8 } from "@cloister/encoding";
import { type Evidence, makeEvidence } from "./at-size-evidence.ts";

// Replicas as the broker sees them, in a process of their own: the product's client and the patience of its replicas. Keys and quotes
// are made before the clock runs, and are shown again where an attempt failed before it got anywhere.

export interface ReplicasJob {
  readonly port: number;
  readonly ca: string;
  readonly replicas: number;
  /** Saved simulated platform. */
  readonly platform: string;
  /** How many ask at the same time; without it, all. */
  readonly concurrency?: number;
  /** Replicas start at random moments of this time. */
  readonly spreadMs?: number;
}

export interface ReplicasResult {
  readonly seconds: number;
  /** From a replica's start to its key, with all its pauses. */
  readonly latenciesMs: readonly number[];
  readonly failed: number;
  /** Attempts that brought no key, by code. */
  readonly refusals: Readonly<Record<string, number>>;
}

const PATIENCE_MS = 600_000;

process.once("message", (job: ReplicasJob) => {
  void ask(job).then((result) => process.send?.(result, () => process.disconnect()));
});

async function ask(job: ReplicasJob): Promise<ReplicasResult> {
  const { ca, port, replicas, spreadMs = 0, concurrency = replicas } = job;
  const platform = restoreSimulatedPlatform(new Secret(utf8(job.platform), "platform"));
  const prepared: Evidence[] = [];
  while (prepared.length < replicas) prepared.push(await makeEvidence(platform));
  const refusals: Record<string, number> = {};
  const latenciesMs: number[] = [];
  let failed = 0;
  const count = (code: string): void => void (refusals[code] = (refusals[code] ?? 0) + 1);
  const attempt = async (): Promise<void> => {
    const evidence = prepared.pop() ?? (await makeEvidence(platform));
    try {
      const brokers = [{ host: "127.0.0.1", port, serverName: "broker.test" }] as const;
      const { key, certificate: certificateDer, csr } = evidence;
      const privateKey = createPrivateKey({ key: Buffer.from(key), format: "der", type: "pkcs8" });
      (await provision({ brokers, ca, privateKey, certificateDer, csr })).wrapKey.wipe();
    } catch (error) {
      count(codeOf(error));
      // A key that may have been released is not shown again.
      if (!isSpent(error)) prepared.unshift(evidence);
      throw error;
    }
  };
  const start = async (): Promise<void> => {
    if (spreadMs > 0) await sleep(Math.random() * spreadMs);
    const startedAt = performance.now();
    try {
      await withPatience(attempt, { waitMs: PATIENCE_MS, onRetry: () => undefined });
      latenciesMs.push(performance.now() - startedAt);
    } catch {
      failed += 1;
    }
  };
  const startedAt = performance.now();
  let waiting = replicas;
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (waiting-- > 0) await start();
    }),
  );
  return { seconds: (performance.now() - startedAt) / 1000, latenciesMs, failed, refusals };
}

function codeOf(error: unknown): string {
  if (error instanceof BrokerError) return error.refusedFor[0] ?? error.code;
  return isCodedError(error) ? error.code : String(error);
}

const isSpent = (error: unknown): boolean =>
  error instanceof BrokerError && (error.code === "CONNECTION_LOST" || error.code === "PROVISIONING_TIMEOUT");
