import { Worker } from "node:worker_threads";
import { ProtectedFileError } from "../errors.ts";
import type { GroupOpener, GroupReader, GroupResealer, GroupSealer } from "./groups.ts";
import type { WorkerResult, WorkerTask } from "./worker-messages.ts";

/** Groups in one message: waking another thread takes about a tenth of the time that a group takes. */
const GROUPS_PER_MESSAGE = 8;
/** Messages under way for each thread: one at work, one waiting for it. */
const MESSAGES_PER_THREAD = 2;
/** A thread needs little: two buffers outside the heap, and cipher objects that die young. */
const LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 };

type Unnumbered<Task> = Task extends WorkerTask ? Omit<Task, "id"> : never;

/** A thread and how many messages it has been given that it has not answered. */
interface Thread {
  readonly worker: Worker;
  messages: number;
}

interface Waiting {
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
  /** Tasks that no thread has been given yet. */
  #queue: WorkerTask[] = [];
  #isHandingOut = false;
  #nextId = 0;
  /** Set when a thread is gone: work given to it would never be answered. */
  #ended = false;

  /** Starts `count` threads (at least one). */
  constructor(count: number) {
    this.#threads = Array.from({ length: Math.max(1, count) }, () => this.#start());
  }

  /** How many groups to keep under way. */
  get ahead(): number {
    return this.#threads.length * MESSAGES_PER_THREAD * GROUPS_PER_MESSAGE;
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
    this.#queue.push({ ...task, id });
    this.#handOutSoon();
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
  }

  /** Once for all tasks that come in this turn of the event loop, so that they go out together. */
  #handOutSoon(): void {
    if (this.#isHandingOut) return;
    this.#isHandingOut = true;
    setImmediate(() => {
      this.#isHandingOut = false;
      this.#handOut();
    });
  }

  #handOut(): void {
    while (this.#queue.length > 0) {
      const thread = this.#threads.reduce((least, other) => (other.messages < least.messages ? other : least));
      if (thread.messages >= MESSAGES_PER_THREAD) return;
      const share = Math.ceil(this.#queue.length / this.#threads.length);
      const tasks = this.#queue.splice(0, Math.min(share, GROUPS_PER_MESSAGE));
      if (thread.messages === 0) thread.worker.ref();
      thread.messages += 1;
      thread.worker.postMessage(tasks, []);
    }
  }

  #start(): Thread {
    // The extension is that of this module: sources run as they are, builds as JavaScript.
    const name = import.meta.url.endsWith(".ts") ? "./node-worker.ts" : "./node-worker.js";
    const worker = new Worker(new URL(name, import.meta.url), { resourceLimits: LIMITS });
    const thread = { worker, messages: 0 };
    worker.on("message", (results: readonly WorkerResult[]) => {
      thread.messages -= 1;
      if (thread.messages === 0) worker.unref();
      this.#handOutSoon();
      for (const result of results) this.#settle(result);
    });
    worker.on("error", (cause) => {
      this.#failAll(cause);
    });
    worker.on("exit", () => {
      this.#failAll(undefined);
    });
    worker.unref();
    return thread;
  }

  #settle(result: WorkerResult): void {
    const waiting = this.#waiting.get(result.id);
    if (waiting === undefined) return;
    this.#waiting.delete(result.id);
    if ("bytes" in result) waiting.resolve(result.bytes);
    else if ("code" in result) waiting.reject(new ProtectedFileError(result.code));
    else waiting.reject(new ProtectedFileError("WORKER_FAILED", { cause: new Error(result.message) }));
  }

  /** One thread gone means work lost: nothing of the pool can be relied on. */
  #failAll(cause: unknown): void {
    this.#ended = true;
    for (const { reject } of this.#waiting.values()) reject(new ProtectedFileError("WORKER_FAILED", { cause }));
    this.#waiting.clear();
    this.#queue = [];
  }
}
