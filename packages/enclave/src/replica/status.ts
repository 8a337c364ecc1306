import type { ReplicaConfig } from "../manifest/manifest.ts";
import type { PlatformDriver } from "../platform/driver.ts";

/** `starting` until the first admission, `waiting` while no broker answers, then `ready`, or `failed` for good. */
export type ReplicaState = "starting" | "waiting" | "ready" | "stopping" | "failed";

/** What a replica tells about itself to anyone who asks: no secrets. */
export interface StatusReport {
  readonly state: ReplicaState;
  readonly replica: string;
  readonly platform: string;
  readonly simulated: boolean;
  readonly model: { readonly name: string; readonly version: number; readonly generation: number | null };
  /** Code of what it waits for or failed with. */
  readonly code: string | null;
  readonly retries: number;
}

/** The state of a replica as it goes along. */
export class ReplicaStatus {
  state: ReplicaState = "starting";
  code: string | null = null;
  generation: number | null = null;
  #retries = 0;
  readonly #base: Pick<StatusReport, "replica" | "platform" | "simulated">;
  readonly #model: ReplicaConfig["model"];

  constructor(replica: string, { name, simulated }: PlatformDriver, { model }: ReplicaConfig) {
    this.#base = { replica, platform: name, simulated };
    this.#model = model;
  }

  waiting(code: string): void {
    this.state = "waiting";
    this.code = code;
    this.#retries += 1;
  }

  ready(generation: number): void {
    this.state = "ready";
    this.code = null;
    this.generation = generation;
  }

  failed(code: string): void {
    this.state = "failed";
    this.code = code;
  }

  report(): StatusReport {
    const model = { ...this.#model, generation: this.generation };
    return { state: this.state, ...this.#base, model, code: this.code, retries: this.#retries };
  }

  /** Prometheus text. */
  metrics(): string {
    const { simulated, platform } = this.#base;
    return [
      "# TYPE cloister_replica_ready gauge",
      `cloister_replica_ready{platform="${platform}",simulated="${simulated}"} ${this.state === "ready" ? 1 : 0}`,
      "# TYPE cloister_replica_broker_retries_total counter",
      `cloister_replica_broker_retries_total ${this.#retries}`,
      "",
    ].join("\n");
  }
}
