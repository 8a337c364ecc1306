import { DeployError } from "../errors.ts";
import { type BootstrapStep, checkScript, runScript } from "./step.ts";

/** Runs a shell script; tells its exit code and the last of what it said. */
export type ShellExecutor = (script: string, signal?: AbortSignal) => Promise<ShellResult>;

interface ShellResult {
  readonly code: number;
  /** Standard error, and output where there is none. */
  readonly said: string;
}

export interface StepResult {
  readonly id: string;
  /** Done before, or done now. */
  readonly state: "unchanged" | "done";
}

export interface RunOptions {
  readonly execute: ShellExecutor;
  readonly onStart: (step: BootstrapStep) => void;
  readonly onEnd: (result: StepResult) => void;
  readonly signal?: AbortSignal;
}

const MAX_SAID_LENGTH = 400;

/**
 * Runs steps in order. What is done already is left alone; what was done is checked. Throws `BOOTSTRAP_STEP_FAILED` at the
 * first step that fails, and runs none after it; `INTERRUPTED` where the signal came.
 */
export async function runSteps(steps: readonly BootstrapStep[], options: RunOptions): Promise<StepResult[]> {
  const results: StepResult[] = [];
  for (const step of steps) {
    options.onStart(step);
    const result = await runStep(step, options);
    results.push(result);
    options.onEnd(result);
  }
  return results;
}

async function runStep(step: BootstrapStep, { execute, signal }: RunOptions): Promise<StepResult> {
  const before = await execute(checkScript(step), signal);
  if (before.code === 0) return { id: step.id, state: "unchanged" };
  if (step.run.length === 0) throw failed(step, "it does not hold here");
  const ran = await execute(runScript(step), signal);
  if (signal?.aborted === true) throw interrupted(step);
  if (ran.code !== 0) throw failed(step, `ended with ${ran.code}: ${lastLines(ran.said)}`);
  const after = await execute(checkScript(step), signal);
  if (after.code !== 0) throw failed(step, "its commands ended well, but what they were to bring about is not so");
  return { id: step.id, state: "done" };
}

function lastLines(said: string): string {
  return said.trim().slice(-MAX_SAID_LENGTH).replaceAll(/\s+/g, " ") || "it said nothing";
}

function failed({ id, title, cause, remedy }: BootstrapStep, why: string): DeployError {
  return new DeployError("BOOTSTRAP_STEP_FAILED", {
    what: `step ${id} (${title})`,
    why: `${why}; likely ${cause}`,
    remedy,
  });
}

function interrupted({ id }: BootstrapStep): DeployError {
  return new DeployError("INTERRUPTED", {
    what: `stopped in step ${id}`,
    why: "the command was interrupted",
    remedy: "run it again: what is done is left alone",
  });
}
