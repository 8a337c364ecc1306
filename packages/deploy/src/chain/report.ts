import type { AttackResult } from "../attacks/attack.ts";
import type { StepName } from "./events.ts";

/** The inference part of the report. Times in milliseconds, throughput in requests per second. */
export interface InferenceReport {
  readonly requests: number;
  /** Answers whose class is the label; where there are no labels, those equal to the reference. */
  readonly correct: number;
  /** Answers equal to the reference (1e-5). The chain has to give all of them; a model may be wrong, its serving may not. */
  readonly equal: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
}

/** The main job's one machine-readable document. Its shape is fixed: it is widened, never renamed. */
export interface ChainReport {
  readonly ok: boolean;
  readonly simulated: boolean;
  readonly steps: readonly { readonly name: StepName; readonly ms: number }[];
  readonly replicas: readonly { readonly id: string; readonly measurement: string; readonly platform: string }[];
  readonly inference: InferenceReport;
  readonly attacks: readonly Pick<AttackResult, "name" | "refused" | "by" | "code">[];
}
