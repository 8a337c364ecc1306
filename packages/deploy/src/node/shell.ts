import { spawn } from "node:child_process";
import type { ShellExecutor } from "./run.ts";

const MAX_KEPT_LENGTH = 8192;
/** As shells count an end by Ctrl-C. */
const INTERRUPTED = 130;

/** `/bin/sh` on this machine. `onOutput` gets what it says as it comes; the end of it is kept for an error's message. */
export function localShell(onOutput: (text: string) => void = () => undefined): ShellExecutor {
  return (script, signal) =>
    new Promise((resolve, reject) => {
      const child = spawn("/bin/sh", ["-c", script], {
        stdio: ["ignore", "pipe", "pipe"],
        // Conditions read what tools print.
        env: { ...process.env, LC_ALL: "C" },
        // A group of its own: an interrupt ends what the shell started too.
        detached: true,
      });
      const stop = (): void => void (child.pid !== undefined && process.kill(-child.pid, "SIGTERM"));
      signal?.addEventListener("abort", stop, { once: true });
      let kept = "";
      const take = (chunk: string): void => {
        onOutput(chunk);
        kept = (kept + chunk).slice(-MAX_KEPT_LENGTH);
      };
      child.stdout.setEncoding("utf8").on("data", take);
      child.stderr.setEncoding("utf8").on("data", take);
      child.once("error", reject);
      child.once("close", (code) => {
        signal?.removeEventListener("abort", stop);
        resolve({ code: code ?? INTERRUPTED, said: kept });
      });
    });
}
