import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A process that says something when it is ready, then answers each line of JSON with one. */
export class LineProcess {
  readonly #label: string;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(label: string, command: string, args: readonly string[]) {
    this.#label = label;
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#process = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async ask<T>(request: unknown): Promise<T> {
    this.#process.stdin?.write(`${JSON.stringify(request)}\n`);
    return this.next<T>();
  }

  /** The next line that it says unasked. Throws where the process has ended. */
  async next<T>(): Promise<T> {
    const line = await this.#lines.next();
    if (line.done === true) throw new Error(`the process of ${this.#label} ended`);
    return JSON.parse(line.value) as T;
  }

  async stop(): Promise<void> {
    const exited = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.stdin?.end();
    await exited;
  }
}
