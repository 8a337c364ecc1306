import { Worker } from "node:worker_threads";
import { ProtectedFileError } from "../errors.ts";
import type { GroupOpener, GroupReader, GroupResealer, GroupSealer } from "./groups.ts";
import type { WorkerResult, WorkerTask } from "./worker-messages.ts";

/** Groups under way for each thread: one at work, one waiting for it. */
const AHEAD_PER_WORKER = 2;
/** A thread needs little: two buffers outside the heap, and cipher objects that die young. */
const LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 };

type Unnumbered<Task> = Task extends WorkerTask ? Omit<Task, "id"> : never;

/** A thread and how many groups it has been given that it has not answered. */
interface Thread {
  readonly worker: Worker;
  groups: number;
}

interface Waiting {
  readonly thread: Thread;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Threads that seal and open groups of nodes. Make one, give it to any number of calls that take one, close it.
 * Idle threads do not keep the process alive.
 */
export class WorkerPool {
  readonly #threads: readonly Thread[];
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  /** Set when a thread is gone: work given to it would never be answered. */
  #ended = false;

  /** Starts `count` threads (at least one). */
  constructor(count: number) {
    this.#threads = Array.from({ length: Math.max(1, count) }, () => ({ worker: this.#start(), groups: 0 }));
  }

  /** How many groups to keep under way. */
  get ahead(): number {
    return this.#threads.length * AHEAD_PER_WORKER;
  }

  sealer(inputFd: number, outputFd: number): GroupSealer {
    return (group, children) => this.#run({ kind: "seal", inputFd, outputFd, group, children });
  }

  opener(inputFd: number, outputFd: number): GroupOpener {
    return async (group, entry) => {
      await this.#run({ kind: "open", inputFd, outputFd, group, entry });
    };
  }

  resealer(inputFd: number, outputFd: number): GroupResealer {
    return (group, entry, children) => this.#run({ kind: "reseal", inputFd, outputFd, group, entry, children });
  }

  reader(inputFd: number): GroupReader {
    return (group, entry) => this.#run({ kind: "read", inputFd, group, entry });
  }

  /** Stops the threads; work under way fails with WORKER_FAILED. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #run(task: Unnumbered<WorkerTask>): Promise<Uint8Array> {
    if (this.#ended) return Promise.reject(new ProtectedFileError("WORKER_FAILED"));
    const id = this.#nextId;
    this.#nextId += 1;
    const thread = this.#threads.reduce((least, other) => (other.groups < least.groups ? other : least));
    thread.groups += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { thread, resolve, reject });
      if (thread.groups === 1) thread.worker.ref();
      thread.worker.postMessage({ ...task, id }, []);
    });
  }

  #start(): Worker {
    // The extension is that of this module: sources run as they are, builds as JavaScript.
    const name = import.meta.url.endsWith(".ts") ? "./node-worker.ts" : "./node-worker.js";
    const worker = new Worker(new URL(name, import.meta.url), { resourceLimits: LIMITS });
    worker.on("message", (result: WorkerResult) => {
      this.#settle(result);
    });
    worker.on("error", (cause) => {
      this.#failAll(cause);
    });
    worker.on("exit", () => {
      this.#failAll(undefined);
    });
    worker.unref();
    return worker;
  }

  #settle(result: WorkerResult): void {
    const waiting = this.#waiting.get(result.id);
    if (waiting === undefined) return;
    this.#waiting.delete(result.id);
    waiting.thread.groups -= 1;
    if (waiting.thread.groups === 0) waiting.thread.worker.unref();
    if ("bytes" in result) waiting.resolve(result.bytes);
    else if ("code" in result) waiting.reject(new ProtectedFileError(result.code));
    else waiting.reject(new ProtectedFileError("WORKER_FAILED", { cause: new Error(result.message) }));
  }

  /** One thread gone means work lost: nothing of the pool can be relied on. */
  #failAll(cause: unknown): void {
    this.#ended = true;
    for (const { reject } of this.#waiting.values()) reject(new ProtectedFileError("WORKER_FAILED", { cause }));
    this.#waiting.clear();
  }
}
