import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { Tensor } from "@cloister/encoding/tensor";
import type { RunRequest } from "../engine.ts";
import { closed, engineError, fromFailure } from "../failure.ts";
import type { Lane } from "../request-queue.ts";
import type { PreparedModel } from "./prepared-model.ts";
import {
  copyTensors,
  graphBuffers,
  ownBuffers,
  type WorkerReply,
  type WorkerRequest,
  type WorkerStart,
} from "./protocol.ts";

type Loaded = Omit<Extract<WorkerReply, { kind: "loaded" }>, "prepared">;

interface Pending {
  readonly resolve: (outputs: Map<string, Tensor>) => void;
  readonly reject: (error: Error) => void;
}

/** A thread that owns a loaded model and blocks while ONNX Runtime computes. */
export class WorkerLane implements Lane {
  readonly loaded: Loaded;
  readonly #worker: Worker;
  #prepared: PreparedModel | undefined;
  readonly #pending = new Map<number, Pending>();
  #nextId = 0;
  #isClosing = false;

  private constructor(
    worker: Worker,
    { prepared, ...loaded }: Extract<WorkerReply, { kind: "loaded" }>,
    onDeath: (error: Error) => void,
  ) {
    this.#worker = worker;
    this.loaded = loaded;
    this.#prepared = prepared;
    worker.on("message", (message: WorkerReply) => {
      this.#receive(message);
    });
    const died = (cause?: unknown): void => {
      const error = this.#isClosing ? closed() : threadEnded(cause);
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
      onDeath(error);
    };
    worker.on("error", died);
    worker.on("exit", () => {
      died();
    });
  }

  /** Loads a model in a new thread, whose errors it throws. `onDeath`: the thread has ended, wanted or not. */
  static async start(workerData: WorkerStart, onDeath: (error: Error) => void): Promise<WorkerLane> {
    const body = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
    const buffers = [...workerData.files.values()].map(({ buffer }) => buffer as ArrayBuffer);
    const transferList = [...buffers, ...graphBuffers(workerData.prepared)];
    const worker = new Worker(body, { workerData, transferList });
    try {
      const first = await firstReply(worker);
      if (first.kind === "loaded") return new WorkerLane(worker, first, onDeath);
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
        const inputs = copyTensors(given);
        this.#send({ kind: "run", id, signature, inputs, outputs }, ownBuffers(inputs));
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

  #send(message: WorkerRequest, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #receive(message: WorkerReply): void {
    if (message.kind !== "done" && message.kind !== "failed") return;
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.kind === "done") pending?.resolve(message.outputs);
    else pending?.reject(fromFailure(message.failure));
  }

  /** Frees the model and ends the thread. */
  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    const exited = new Promise<void>((resolve) => this.#worker.once("exit", () => resolve()));
    this.#send({ kind: "close" });
    await exited;
  }
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
