import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { ROOT } from "./chain.ts";

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts `cloister` in the folder `cwd`. */
export function spawnCli(args: readonly string[], cwd: string): ChildProcess {
  return spawn(process.execPath, [join(ROOT, "packages/cli/src/main.ts"), ...args], {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Runs `cloister` to its end in the folder `cwd`. */
export async function runCliIn(cwd: string, args: readonly string[]): Promise<CliResult> {
  const child = spawnCli(args, cwd);
  if (child.stdout === null || child.stderr === null) throw new Error("the output is piped");
  const ended = once(child, "close") as Promise<[number | null]>;
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, stdout, stderr };
}

/** Runs `cloister` to its end in an empty folder. */
export async function runCli(...args: readonly string[]): Promise<CliResult> {
  const cwd = await mkdtemp(join(tmpdir(), "cloister-cli-"));
  try {
    return await runCliIn(cwd, args);
  } finally {
    await rm(cwd, { recursive: true });
  }
}
