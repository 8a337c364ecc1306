import type { Tensor } from "@cloister/encoding/tensor";
import type { ModelFiles } from "@cloister/saved-model";
import type { RunRequest, Servable, SignatureInfo } from "../engine.ts";
import { RequestQueue } from "../request-queue.ts";
import { digestOf, HeldModel, type PreparedModel, type PreparedModels } from "./prepared-model.ts";
import type { LoadOptions } from "./local-servable.ts";
import { type LaneThread, WorkerLane } from "./worker-lane.ts";

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
  readonly initOp: string | undefined;
  readonly #lanes: readonly WorkerLane[];
  readonly #queue: RequestQueue;
  #closing: Promise<void> | undefined;

  private constructor(lanes: readonly [WorkerLane, ...WorkerLane[]], maxQueue: number) {
    this.#lanes = lanes;
    const queue = new RequestQueue(lanes, IN_LANE, maxQueue);
    this.#queue = queue;
    for (const { death } of lanes) void death.then((error) => queue.end(error));
    this.signatures = lanes[0].loaded.signatures;
    this.unsupported = lanes[0].loaded.unsupported;
    this.initOp = lanes[0].loaded.initOp;
  }

  /** Loads the model in `thread`, and in new ones for further lanes. Throws what loading throws there. */
  static async load(
    files: ModelFiles,
    { lanes: count, maxQueue, ...options }: WorkerOptions,
    cache: PreparedModels,
    thread: LaneThread,
  ): Promise<WorkerServable> {
    const digest = cache.isUsed ? digestOf(files) : "";
    let held = cache.get(digest);
    const start = (own: LaneThread): Promise<WorkerLane> =>
      WorkerLane.load(own, { files, options, prepared: held?.model, keeps: cache.isUsed || count > 1 });
    const lanes: WorkerLane[] = [];
    try {
      const first = await start(thread);
      lanes.push(first);
      // The other lanes need not do the work again.
      held ??= heldOf(first.takePrepared());
      if (held && cache.isUsed) cache.add(digest, held);
      while (lanes.length < count && !first.loaded.isStateful)
        lanes.push(await start(WorkerLane.startThread({ lowers: held === undefined })));
      return new WorkerServable([first, ...lanes.slice(1)], maxQueue);
    } catch (error) {
      await Promise.all(lanes.map((lane) => lane.close()));
      throw error;
    } finally {
      held?.release();
    }
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

function heldOf(model: PreparedModel | undefined): HeldModel | undefined {
  return model && new HeldModel(model);
}
