import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { Tensor } from "@cloister/encoding/tensor";
import type { ModelFiles } from "@cloister/saved-model";
import type { RunRequest } from "../engine.ts";
import { closed, engineError, fromFailure } from "../failure.ts";
import type { Lane } from "../request-queue.ts";
import { MemoryPool } from "../../memory-pool.ts";
import type { PreparedModel } from "./prepared-model.ts";
import {
  copyFiles,
  copyTensors,
  ownBuffers,
  type WorkerReply,
  type WorkerRequest,
  type WorkerStart,
} from "./protocol.ts";
import type { LoadOptions } from "./local-servable.ts";

type Loaded = Omit<Extract<WorkerReply, { kind: "loaded" }>, "prepared">;

interface Pending {
  readonly resolve: (outputs: Map<string, Tensor>) => void;
  readonly reject: (error: Error) => void;
}

/** How a thread comes to its model. */
export interface LaneStart {
  readonly files: ModelFiles;
  readonly options: LoadOptions;
  /** Loads this instead of lowering the files. */
  readonly prepared: PreparedModel | undefined;
  /** Whether what loading makes is wanted. */
  readonly keeps: boolean;
}

/** A thread that has no model yet. */
export interface LaneThread {
  readonly worker: Worker;
  /** What it says of the load. */
  readonly loaded: Promise<WorkerReply>;
}

/** A thread that owns a loaded model and blocks while ONNX Runtime computes. */
export class WorkerLane implements Lane {
  readonly loaded: Loaded;
  /** Why the thread ended, once it has, wanted or not. */
  readonly death: Promise<Error>;
  readonly #worker: Worker;
  /** Of a restored model, until the thread asks for them. */
  #files: ModelFiles;
  #prepared: PreparedModel | undefined;
  readonly #memory = new MemoryPool();
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #isClosing = false;

  private constructor(
    worker: Worker,
    { prepared, ...loaded }: Extract<WorkerReply, { kind: "loaded" }>,
    files: ModelFiles,
  ) {
    this.#worker = worker;
    this.#files = files;
    this.loaded = loaded;
    this.#prepared = prepared;
    worker.on("message", (message: WorkerReply) => {
      this.#receive(message);
    });
    this.death = new Promise((resolve) => {
      const died = (cause?: unknown): void => {
        const error = this.#isClosing ? closed() : threadEnded(cause);
        for (const { reject } of this.#pending.values()) reject(error);
        this.#pending.clear();
        resolve(error);
      };
      worker.on("error", died);
      worker.on("exit", () => {
        died();
      });
    });
  }

  /** Starts a thread, for `load`. It comes up while the caller goes on, and keeps no process alive until then. */
  static startThread(workerData: WorkerStart): LaneThread {
    const worker = new Worker(new URL(`./worker${extname(import.meta.url)}`, import.meta.url), { workerData });
    const loaded = firstReply(worker);
    // After the listener for messages, which would hold the process again.
    worker.unref();
    // Whoever loads hears of it, be it later.
    loaded.catch(() => undefined);
    return { worker, loaded };
  }

  /** Loads a model in a thread, whose errors it throws. */
  static async load({ worker, loaded }: LaneThread, start: LaneStart): Promise<WorkerLane> {
    worker.ref();
    try {
      sendModel(worker, start);
      const first = await loaded;
      if (first.kind === "loaded") return new WorkerLane(worker, first, start.prepared ? start.files : new Map());
      throw first.kind === "load-failed" ? fromFailure(first.failure) : new Error("the worker answered out of turn");
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  /** What the thread has made of the model, once, where that was wanted. */
  takePrepared(): PreparedModel | undefined {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    return prepared;
  }

  run({ signature, inputs: given, outputs }: RunRequest): Promise<Map<string, Tensor>> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      try {
        const inputs = copyTensors(given, this.#memory);
        post(this.#worker, { kind: "run", id, signature, inputs, outputs }, ownBuffers(inputs));
        this.#pending.set(id, { resolve, reject });
      } catch (cause) {
        reject(
          engineError(
            "INPUT_INVALID",
            "the request cannot be read",
            "an array of it was given away",
            "keep it until the answer",
            cause,
          ),
        );
      }
    });
  }

  #receive(message: WorkerReply): void {
    if (message.kind === "wants-files") this.#sendFiles();
    if (message.kind !== "done" && message.kind !== "failed") return;
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.kind === "done") {
      for (const buffer of message.spent) this.#memory.give(buffer);
      pending?.resolve(message.outputs);
    } else pending?.reject(fromFailure(message.failure));
  }

  #sendFiles(): void {
    const { copies, buffers } = copyFiles(this.#files);
    this.#files = new Map();
    post(this.#worker, { kind: "files", files: copies }, buffers);
  }

  /** Frees the model and ends the thread. */
  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    post(this.#worker, { kind: "close" });
    await this.death;
  }
}

function post(worker: Worker, message: WorkerRequest, transfer: ArrayBuffer[] = []): void {
  worker.postMessage(message, transfer);
}

function sendModel(worker: Worker, { files, options, prepared, keeps }: LaneStart): void {
  if (prepared) {
    post(worker, { kind: "restore", prepared, options });
    return;
  }
  const { copies, buffers } = copyFiles(files);
  post(worker, { kind: "load", files: copies, options, keeps }, buffers);
}

function threadEnded(cause?: unknown): Error {
  return engineError(
    "ENGINE_FAILED",
    "the engine's thread ended",
    "it failed or ran out of memory",
    "load the model again",
    cause,
  );
}

function firstReply(worker: Worker): Promise<WorkerReply> {
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => {
      reject(threadEnded());
    });
  });
}
