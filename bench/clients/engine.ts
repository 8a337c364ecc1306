// An engine under measurement, in a process of its own: node bench/clients/engine.ts ENGINE PATH THREADS. ENGINE is onnx or
// tensorflow; PATH is a SavedModel folder or a frozen graph from `input` to `predict`. Answers lines of JSON as
// engine_tensorflow.py does.

import { readFile, stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import { elementCount, type Tensor } from "@cloister/encoding/tensor";
import { type Engine, OnnxEngine, type Servable, TensorFlowEngine } from "@cloister/model-server/engine";
import { importFrozenGraph, type ModelFiles } from "@cloister/saved-model";
import { readTree } from "@cloister/protected-files/rim";

async function readModel(path: string): Promise<ModelFiles> {
  if ((await stat(path)).isDirectory()) return readTree(path);
  return importFrozenGraph(new Uint8Array(await readFile(path))).files;
}

function batchOf(servable: Servable, count: number): Map<string, Tensor> {
  const signature = servable.signatures.get("serving_default");
  const [alias, info] = [...(signature?.inputs ?? [])][0] ?? [];
  if (alias === undefined || !info?.shape) throw new Error("the model has no input of known rank");
  const shape = [count, ...info.shape.slice(1)];
  const length = elementCount(shape);
  const data =
    info.dtype === "int32"
      ? Int32Array.from({ length }, (_, i) => (i * 7919) % 1000)
      : Float32Array.from({ length }, (_, i) => ((i * 7919) % 1000) / 1000);
  return new Map([[alias, { dtype: info.dtype, shape, data }]]);
}

const [name = "", path = "", threads = "0"] = process.argv.slice(2);
const engine =
  name === "tensorflow"
    ? new TensorFlowEngine({ threads: Number(threads) })
    : new OnnxEngine({ threads: Number(threads), execution: "worker" });

interface LoadTimes {
  /** From the files in memory to a model that takes requests. */
  readonly loadMs: number;
  readonly firstAnswerMs: number;
}

/** As a server loads: it makes ready for it before it reads the files. */
async function load(on: Engine): Promise<LoadTimes & { servable: Servable }> {
  on.prepare?.();
  const files = await readModel(path);
  const startedAt = performance.now();
  const servable = await on.load(files);
  const loadedAt = performance.now();
  await predict(servable, batchOf(servable, 1));
  return { servable, loadMs: loadedAt - startedAt, firstAnswerMs: performance.now() - loadedAt };
}

function predict(servable: Servable, inputs: Map<string, Tensor>): Promise<Map<string, Tensor>> {
  const outputs = [...(servable.signatures.get("serving_default")?.outputs.keys() ?? [])];
  return servable.run({ signature: "serving_default", inputs, outputs });
}

/** A load whose optimised graph an earlier one has left in the cache. */
async function loadCached(): Promise<LoadTimes> {
  const caching = new OnnxEngine({ threads: Number(threads), execution: "worker", cacheBytes: 2 ** 30 });
  await (await load(caching)).servable.close();
  const { servable: again, ...times } = await load(caching);
  await again.close();
  return times;
}

const { servable, ...times } = await load(engine);
console.log(JSON.stringify(times));
for await (const line of createInterface({ input: process.stdin })) {
  const { batch, count, isLoad } = JSON.parse(line) as { batch: number; count: number; isLoad?: boolean };
  if (isLoad === true) {
    console.log(JSON.stringify(await loadCached()));
    continue;
  }
  const inputs = batchOf(servable, batch);
  await predict(servable, inputs);
  const [from, cpu] = [performance.now(), process.cpuUsage()];
  for (let i = 0; i < count; i++) await predict(servable, inputs);
  const used = process.cpuUsage(cpu);
  const measured = {
    ms: (performance.now() - from) / count,
    cpuMs: (used.user + used.system) / 1000 / count,
    residentMiB: process.memoryUsage.rss() / 2 ** 20,
  };
  console.log(JSON.stringify(measured));
}
await servable.close();
