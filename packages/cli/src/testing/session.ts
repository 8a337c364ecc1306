import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** How a command line ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Session {
  /** Runs `cloister ARGS` in a folder. One at a time. */
  run(cwd: string, ...args: readonly string[]): Promise<Outcome>;
  close(): void;
}

/** A process that runs many command lines, so that the program is loaded once for all tests of a file. */
export function startSession(): Session {
  const child = fork(fileURLToPath(new URL("session-worker.ts", import.meta.url)));
  let last: Promise<unknown> = Promise.resolve();
  return {
    run: async (cwd, ...args) => {
      const answer = last.then(async () => {
        const received = once(child, "message") as Promise<[Outcome]>;
        child.send({ cwd, args });
        return (await received)[0];
      });
      last = answer.catch(() => undefined);
      return await answer;
    },
    close: () => child.kill(),
  };
}
