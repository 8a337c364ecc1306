// The thread of one lane: it owns the model and blocks while ONNX Runtime computes.

import { parentPort, workerData } from "node:worker_threads";
import type { ModelFiles } from "@cloister/saved-model";
import { toFailure } from "../failure.ts";
import { collectGarbageSoon } from "./collect-garbage.ts";
import { LocalServable, type LoweredModel } from "./local-servable.ts";
import { ownBuffers, type WorkerReply, type WorkerRequest, type WorkerStart } from "./protocol.ts";

const port = parentPort;
if (!port) throw new Error("this file is the body of a worker thread");

/** Lowering is most of this project's code: a restored model gets on without it. */
const lowering = async () => import("./load-model.ts");

if ((workerData as WorkerStart).lowers) void lowering();

const files = Promise.withResolvers<ModelFiles>();
let servable: LocalServable | undefined;

function reply(message: WorkerReply, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

/** A restored model has no need of its files until then. */
async function lowerLater(tags: readonly string[]): Promise<LoweredModel> {
  reply({ kind: "wants-files" });
  const { lowerModel } = await lowering();
  return lowerModel(await files.promise, tags);
}

async function load(message: Extract<WorkerRequest, { kind: "load" | "restore" }>): Promise<void> {
  try {
    if (message.kind === "load") {
      servable = await (await lowering()).loadModel(message.files, message.options, message.keeps);
    } else {
      const { prepared, options } = message;
      let model: Promise<LoweredModel> | undefined;
      servable = await LocalServable.restore(prepared, options, () => (model ??= lowerLater(options.tags)));
    }
    const { signatures, unsupported, initOp, isStateful } = servable;
    const prepared = servable.takePrepared();
    reply({ kind: "loaded", signatures, unsupported, initOp, isStateful, ...(prepared && { prepared }) });
    collectGarbageSoon();
  } catch (error) {
    reply({ kind: "load-failed", failure: toFailure(error) });
  }
}

async function run({ id, ...request }: Extract<WorkerRequest, { kind: "run" }>): Promise<void> {
  try {
    if (!servable) throw new Error("nothing is loaded");
    const outputs = await servable.run(request);
    const results = ownBuffers(outputs);
    // A variable may hold what a request has brought, and an answer may be it.
    const isKept = (buffer: ArrayBuffer): boolean => servable?.isStateful === true || results.includes(buffer);
    const spent = ownBuffers(request.inputs).filter((buffer) => !isKept(buffer));
    reply({ kind: "done", id, outputs, spent }, [...results, ...spent]);
  } catch (error) {
    reply({ kind: "failed", id, failure: toFailure(error) });
  }
}

async function serve(message: Exclude<WorkerRequest, { kind: "files" }>): Promise<void> {
  switch (message.kind) {
    case "load":
    case "restore":
      await load(message);
      break;
    case "run":
      await run(message);
      break;
    case "close":
      await servable?.close();
      reply({ kind: "closed" });
      port?.close();
  }
}

// Requests run one after the other, in the order of their arrival. Files come while one waits for them.
let last = Promise.resolve();
port.on("message", (message: WorkerRequest) => {
  if (message.kind === "files") files.resolve(message.files);
  else last = last.then(() => serve(message));
});
