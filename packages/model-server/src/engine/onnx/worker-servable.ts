import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { Tensor } from "@cloister/encoding/tensor";
import type { ModelFiles } from "@cloister/saved-model";
import type { RunRequest, Servable, SignatureInfo } from "../engine.ts";
import { engineError, fromFailure } from "./failure.ts";
import { closed } from "./local-servable.ts";
import { copyTensors, ownBuffers, type WorkerReply, type WorkerRequest, type WorkerStart } from "./protocol.ts";
import type { SessionOptions } from "./session.ts";

/** Requests in the worker at a time: one that runs, and the next, so that the thread never waits for the event loop. */
const IN_WORKER = 2;

interface Job {
  readonly request: RunRequest;
  readonly resolve: (outputs: Map<string, Tensor>) => void;
  readonly reject: (error: Error) => void;
}

/** A model in a worker thread of its own: one lane with a bounded queue in front of it. */
export class WorkerServable implements Servable {
  readonly signatures: ReadonlyMap<string, SignatureInfo>;
  readonly unsupported: ReadonlyMap<string, string>;
  readonly #worker: Worker;
  readonly #maxQueue: number;
  readonly #waiting: Job[] = [];
  readonly #running = new Map<number, Job>();
  #nextId = 0;
  #ended: Error | undefined;
  #closing: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;

  private constructor(worker: Worker, loaded: Extract<WorkerReply, { kind: "loaded" }>, maxQueue: number) {
    this.#worker = worker;
    this.#maxQueue = maxQueue;
    this.signatures = loaded.signatures;
    this.unsupported = loaded.unsupported;
    worker.on("message", (message: WorkerReply) => {
      this.#receive(message);
    });
    const died = (cause?: unknown): void => {
      if (this.#closing) this.#end(closed());
      else
        this.#end(
          engineError(
            "ENGINE_FAILED",
            "the engine's thread ended",
            "it failed or ran out of memory",
            "load the model again",
            cause,
          ),
        );
    };
    worker.on("error", died);
    worker.on("exit", () => {
      died();
    });
  }

  /** Loads the model in a new thread. Throws what loading throws there. */
  static async load(files: ModelFiles, options: SessionOptions, maxQueue: number): Promise<WorkerServable> {
    // Copies that move to the thread: cloning them there takes ten times as long for a large model.
    const copies = new Map([...files].map(([path, bytes]) => [path, new Uint8Array(bytes)]));
    const workerData: WorkerStart = { files: copies, options };
    const body = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
    const worker = new Worker(body, { workerData, transferList: [...copies.values()].map(({ buffer }) => buffer) });
    try {
      const first = await firstReply(worker);
      if (first.kind === "loaded") return new WorkerServable(worker, first, maxQueue);
      throw first.kind === "load-failed" ? fromFailure(first.failure) : new Error("the worker answered out of turn");
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  run(request: RunRequest): Promise<Map<string, Tensor>> {
    const refusal = this.#refusal(request.signal);
    if (refusal) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const job = { request, resolve, reject };
      request.signal?.addEventListener(
        "abort",
        () => {
          const place = this.#waiting.indexOf(job);
          if (place !== -1) this.#waiting.splice(place, 1);
          // A request in the worker runs to its end; its answer finds nobody waiting.
          reject(cancelled());
        },
        { once: true },
      );
      this.#waiting.push(job);
      this.#pump();
    });
  }

  #refusal(signal: AbortSignal | undefined): Error | undefined {
    if (this.#ended) return this.#ended;
    if (this.#closing) return closed();
    if (signal?.aborted) return cancelled();
    if (this.#waiting.length < this.#maxQueue) return undefined;
    return engineError(
      "QUEUE_FULL",
      "too many requests wait for this model",
      `the limit is ${this.#maxQueue}`,
      "try again later",
    );
  }

  #pump(): void {
    while (this.#running.size < IN_WORKER) {
      const job = this.#waiting.shift();
      if (!job) break;
      const id = this.#nextId++;
      const { signature, outputs } = job.request;
      try {
        const inputs = copyTensors(job.request.inputs);
        this.#send({ kind: "run", id, signature, inputs, outputs }, ownBuffers(inputs));
        this.#running.set(id, job);
      } catch (cause) {
        job.reject(
          engineError(
            "INPUT_INVALID",
            "the request cannot be read",
            "an array of it was given away",
            "keep it until the answer",
            cause,
          ),
        );
      }
    }
    if (this.#running.size === 0) this.#onIdle?.();
  }

  #send(message: WorkerRequest, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #receive(message: WorkerReply): void {
    if (message.kind !== "done" && message.kind !== "failed") return;
    const job = this.#running.get(message.id);
    this.#running.delete(message.id);
    if (message.kind === "done") job?.resolve(message.outputs);
    else job?.reject(fromFailure(message.failure));
    this.#pump();
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const job of [...this.#running.values(), ...this.#waiting]) job.reject(this.#ended);
    this.#running.clear();
    this.#waiting.length = 0;
    this.#onIdle?.();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const job of this.#waiting.splice(0)) job.reject(closed());
    if (this.#running.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
    if (!this.#ended) {
      const exited = new Promise<void>((resolve) => this.#worker.once("exit", () => resolve()));
      this.#send({ kind: "close" });
      await exited;
    }
  }
}

function cancelled(): Error {
  return engineError("CANCELLED", "the request was cancelled", "the caller gave it up", "nothing has to be done");
}

function firstReply(worker: Worker): Promise<WorkerReply> {
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => {
      reject(
        engineError(
          "ENGINE_FAILED",
          "the engine's thread ended",
          "it failed while it loaded the model",
          "check the memory",
        ),
      );
    });
  });
}
