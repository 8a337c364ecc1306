import { type ChildProcess, execFile, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { once } from "node:events";
import { promisify } from "node:util";

const execute = promisify(execFile);
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Runs a program to its end and gives what it printed. Throws with its own last words. */
export async function run(
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
  cwd?: string,
): Promise<string> {
  try {
    const { stdout } = await execute(program, args, {
      maxBuffer: MAX_OUTPUT_BYTES,
      env: { ...process.env, ...env },
      ...(cwd !== undefined && { cwd }),
    });
    return stdout;
  } catch (error) {
    const { stderr = "", stdout = "" } = error as { stderr?: string; stdout?: string };
    throw new Error(`${program} ${args.slice(0, 6).join(" ")}: ${(stderr || stdout).slice(-2000)}`, { cause: error });
  }
}

/** A program that goes on, with its output in a file. */
export class Service {
  readonly name: string;
  readonly logFile: string;
  readonly #child: ChildProcess;

  constructor(
    name: string,
    logFile: string,
    program: string,
    args: readonly string[],
    env: Record<string, string> = {},
  ) {
    const log = openSync(logFile, "a");
    this.name = name;
    this.logFile = logFile;
    this.#child = spawn(program, args, { stdio: ["ignore", log, log], env: { ...process.env, ...env } });
    this.#child.on("error", () => undefined);
    closeSync(log);
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** The API server outlives SIGTERM by more than ten seconds, and nothing here has anything to save. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    if (this.hasEnded || this.#child.pid === undefined) return;
    const closed = once(this.#child, "close");
    this.#child.kill(signal);
    await closed;
  }
}

/** Waits until `look` gives something but undefined. Throws when that takes too long, with what was waited for. */
export async function waitFor<T>(what: string, look: () => Promise<T | undefined>, timeoutMs = 300_000): Promise<T> {
  const endsAt = Date.now() + timeoutMs;
  for (;;) {
    const found = await look().catch(() => undefined);
    if (found !== undefined) return found;
    if (Date.now() > endsAt) throw new Error(`${what} did not happen within ${timeoutMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
