import type { AttackResult } from "../attacks/attack.ts";

/** The steps of the main job, in order. */
const STEPS = ["import", "certificates", "seal", "broker", "gateway", "replicas", "inference", "attacks"] as const;
export type StepName = (typeof STEPS)[number];

/** What happens while the chain comes up and runs. Nothing here is secret. */
export type ChainEvent =
  | { readonly type: "step"; readonly name: StepName }
  | { readonly type: "step-done"; readonly name: StepName; readonly ms: number; readonly facts: readonly string[] }
  | { readonly type: "progress"; readonly text: string }
  | { readonly type: "replica"; readonly replica: string; readonly text: string }
  | { readonly type: "released"; readonly keyId: string; readonly logIndex: number; readonly simulated: boolean }
  | { readonly type: "refused"; readonly code: string; readonly logIndex: number | null }
  | { readonly type: "attack"; readonly result: AttackResult };

export type Observe = (event: ChainEvent) => void;

/** What a step hands to the next ones, and the facts that a person wants to see of it. */
export interface StepResult<T> {
  readonly result: T;
  readonly facts: readonly string[];
}

/** Runs steps, each between its two events, and keeps their times. */
export class StepClock {
  readonly steps: { readonly name: StepName; readonly ms: number }[] = [];
  readonly #observe: Observe;

  constructor(observe: Observe) {
    this.#observe = observe;
  }

  async run<T>(name: StepName, work: () => Promise<StepResult<T>>): Promise<T> {
    this.#observe({ type: "step", name });
    const startedAt = performance.now();
    const { result, facts } = await work();
    const ms = Math.round(performance.now() - startedAt);
    this.steps.push({ name, ms });
    this.#observe({ type: "step-done", name, ms, facts });
    return result;
  }
}
