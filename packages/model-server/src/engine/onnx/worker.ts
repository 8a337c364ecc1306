// The thread of one lane: it owns the model and blocks while ONNX Runtime computes.

import { parentPort, workerData } from "node:worker_threads";
import { collectGarbage } from "./collect-garbage.ts";
import { toFailure } from "../failure.ts";
import { LocalServable } from "./local-servable.ts";
import { graphBuffers, ownBuffers, type WorkerReply, type WorkerRequest, type WorkerStart } from "./protocol.ts";

const port = parentPort;
if (!port) throw new Error("this file is the body of a worker thread");

function reply(message: WorkerReply, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

async function serve(servable: LocalServable, message: WorkerRequest): Promise<void> {
  if (message.kind === "close") {
    await servable.close();
    reply({ kind: "closed" });
    port?.close();
    return;
  }
  const { id, signature, inputs, outputs } = message;
  try {
    const results = await servable.run({ signature, inputs, outputs });
    reply({ kind: "done", id, outputs: results }, ownBuffers(results));
  } catch (error) {
    reply({ kind: "failed", id, failure: toFailure(error) });
  }
}

try {
  const { files, options, prepared, keeps } = workerData as WorkerStart;
  const servable = prepared
    ? await LocalServable.restore(files, prepared, options)
    : await LocalServable.load(files, options, keeps);
  const made = servable.takePrepared();
  collectGarbage();
  // Requests run one after the other, in the order of their arrival.
  let last = Promise.resolve();
  port.on("message", (message: WorkerRequest) => {
    last = last.then(() => serve(servable, message));
  });
  const { signatures, unsupported } = servable;
  // Only a model without state is ever prepared; to ask it would read the files.
  const isStateful = prepared === undefined && servable.isStateful;
  reply({ kind: "loaded", signatures, unsupported, isStateful, ...(made && { prepared: made }) }, graphBuffers(made));
} catch (error) {
  reply({ kind: "load-failed", failure: toFailure(error) });
}
