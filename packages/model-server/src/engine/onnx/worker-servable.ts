import type { Tensor } from "@cloister/encoding/tensor";
import type { ModelFiles } from "@cloister/saved-model";
import type { RunRequest, Servable, SignatureInfo } from "../engine.ts";
import { RequestQueue } from "../request-queue.ts";
import { copyPrepared, digestOf, type PreparedModels } from "./prepared-model.ts";
import type { LoadOptions } from "./local-servable.ts";
import { WorkerLane } from "./worker-lane.ts";

/** Requests in a lane at a time: one that runs, and the next, so that the thread never waits for the event loop. */
const IN_LANE = 2;

export interface WorkerOptions extends LoadOptions {
  /** Threads that each hold the model. A model that requests change gets one: its state cannot be in two places. */
  readonly lanes: number;
  readonly maxQueue: number;
}

/** A model in worker threads of its own, with a bounded queue in front of them. */
export class WorkerServable implements Servable {
  readonly signatures: ReadonlyMap<string, SignatureInfo>;
  readonly unsupported: ReadonlyMap<string, string>;
  readonly #lanes: readonly WorkerLane[];
  readonly #queue: RequestQueue;
  #closing: Promise<void> | undefined;

  private constructor(lanes: readonly [WorkerLane, ...WorkerLane[]], queue: RequestQueue) {
    this.#lanes = lanes;
    this.#queue = queue;
    this.signatures = lanes[0].loaded.signatures;
    this.unsupported = lanes[0].loaded.unsupported;
  }

  /** Loads the model in new threads. Throws what loading throws there. */
  static async load(
    files: ModelFiles,
    { lanes: count, maxQueue, ...options }: WorkerOptions,
    cache: PreparedModels,
  ): Promise<WorkerServable> {
    const digest = cache.isUsed ? digestOf(files) : "";
    let prepared = cache.get(digest);
    let queue: RequestQueue | undefined;
    const start = (): Promise<WorkerLane> =>
      WorkerLane.start(
        {
          // Copies that move to the thread: cloning them there takes ten times as long for a large model.
          files: new Map([...files].map(([path, bytes]) => [path, new Uint8Array(bytes)])),
          options,
          ...(prepared && { prepared: copyPrepared(prepared) }),
          keeps: cache.isUsed || count > 1,
        },
        (error) => queue?.end(error),
      );
    const first = await start();
    const lanes: [WorkerLane, ...WorkerLane[]] = [first];
    // The other lanes need not do the work again.
    prepared ??= first.takePrepared();
    if (prepared && cache.isUsed) cache.add(digest, prepared);
    try {
      while (lanes.length < count && !first.loaded.isStateful) lanes.push(await start());
    } catch (error) {
      await Promise.all(lanes.map((lane) => lane.close()));
      throw error;
    }
    queue = new RequestQueue(lanes, IN_LANE, maxQueue);
    return new WorkerServable(lanes, queue);
  }

  run(request: RunRequest): Promise<Map<string, Tensor>> {
    return this.#queue.run(request);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#queue.close();
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }
}
