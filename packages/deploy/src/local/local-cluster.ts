import { setTimeout as sleep } from "node:timers/promises";
import { isCodedError } from "@cloister/encoding";
import type { RunningReplica } from "@cloister/enclave";
import { ANY_NAME, type Gateway } from "../gateway/gateway.ts";

const FIRST_RESTART_DELAY_MS = 100;
const MAX_RESTART_DELAY_MS = 5_000;
/** A replica that lived this long starts over with the first delay. */
const STABLE_AFTER_MS = 10_000;

type ClusterEvent =
  | { readonly type: "ready"; readonly replica: string; readonly ms: number; readonly restarts: number }
  | { readonly type: "ended"; readonly replica: string }
  | { readonly type: "start-failed"; readonly replica: string; readonly code: string };

export interface LocalClusterOptions {
  readonly replicas: number;
  readonly gateway: Pick<Gateway, "setRoutes">;
  /** Starts a replica and resolves when it is READY, so that only admitted replicas ever get traffic. */
  readonly launch: (replicaId: string) => Promise<RunningReplica>;
  readonly onEvent: (event: ClusterEvent) => void;
}

export interface LocalCluster {
  /** The replicas that are READY now, by id. */
  readonly running: ReadonlyMap<string, RunningReplica>;
  close(): Promise<void>;
}

/**
 * Keeps a number of replicas running behind the gateway. A replica that ends leaves the gateway at once and is started again:
 * a new process with a new key that is attested anew. Throws the first replica's error when one of the first starts fails.
 */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const cluster = new Supervisor(options);
  try {
    await cluster.startAll();
  } catch (error) {
    await cluster.close();
    throw error;
  }
  return cluster;
}

class Supervisor implements LocalCluster {
  readonly running = new Map<string, RunningReplica>();
  readonly #options: LocalClusterOptions;
  readonly #closing = new AbortController();
  readonly #loops: Promise<void>[] = [];

  constructor(options: LocalClusterOptions) {
    this.#options = options;
  }

  async startAll(): Promise<void> {
    const ids = Array.from({ length: this.#options.replicas }, (_, index) => `replica-${index + 1}`);
    const started = await Promise.allSettled(ids.map((id) => this.#start(id, 0)));
    const failure = started.find((result) => result.status === "rejected");
    if (failure !== undefined) throw failure.reason;
    for (const id of ids) this.#loops.push(this.#keepRunning(id));
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.running.values()].map((replica) => replica.stop()));
    await Promise.all(this.#loops);
  }

  async #start(id: string, restarts: number): Promise<void> {
    const startedAt = performance.now();
    const replica = await this.#options.launch(id);
    if (this.#closing.signal.aborted) {
      await replica.stop();
      return;
    }
    this.running.set(id, replica);
    await this.#publish();
    this.#options.onEvent({ type: "ready", replica: id, ms: performance.now() - startedAt, restarts });
  }

  async #keepRunning(id: string): Promise<void> {
    let delayMs = FIRST_RESTART_DELAY_MS;
    for (let restarts = 1; !this.#closing.signal.aborted;) {
      const startedAt = performance.now();
      await this.running.get(id)?.exited;
      if (this.#closing.signal.aborted) return;
      if (this.running.delete(id)) {
        await this.#publish();
        this.#options.onEvent({ type: "ended", replica: id });
      }
      delayMs = performance.now() - startedAt > STABLE_AFTER_MS ? FIRST_RESTART_DELAY_MS : delayMs;
      await sleep(delayMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      delayMs = Math.min(delayMs * 2, MAX_RESTART_DELAY_MS);
      if (this.#closing.signal.aborted) return;
      try {
        await this.#start(id, restarts);
        restarts += 1;
      } catch (error) {
        const code = isCodedError(error) ? error.code : "INTERNAL";
        this.#options.onEvent({ type: "start-failed", replica: id, code });
      }
    }
  }

  async #publish(): Promise<void> {
    const backends = [...this.running].map(([id, { address }]) => ({ id, host: address.host, port: address.port }));
    await this.#options.gateway.setRoutes([{ serverName: ANY_NAME, backends }]);
  }
}
