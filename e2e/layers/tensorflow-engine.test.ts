import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { GraphDefSchema } from "@cloister/encoding/gen/tensorflow/core/framework/graph_pb";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import type { Tensor } from "@cloister/encoding/tensor";
import { chooseEngine, type EngineFallback, TensorFlowEngine } from "@cloister/model-server/engine";
import { importFrozenGraph, type ModelFiles } from "@cloister/saved-model";

// Needs TensorFlow's C library (cloister engine install tensorflow, or CLOISTER_TENSORFLOW); without it these tests fail.

/** `answer` = OP(a, b), element by element. */
function binaryModel(op: string): ModelFiles {
  const type = { value: { case: "type", value: DataType.DT_FLOAT } } as const;
  const input = (name: string) => ({ name, op: "Placeholder", attr: { dtype: type } });
  const node = [input("a"), input("b"), { name: "answer", op, input: ["a", "b"], attr: { T: type } }];
  const graph = toBinary(GraphDefSchema, create(GraphDefSchema, { node, versions: { producer: 1882 } }));
  return importFrozenGraph(graph, { inputs: ["a", "b"], outputs: ["answer"] }).files;
}

const floats = (shape: readonly number[], data: Float32Array): Tensor => ({ dtype: "float", shape, data });
const vector = (...values: number[]): Tensor => floats([values.length], Float32Array.from(values));
const request = (a: Tensor, b: Tensor) => ({
  signature: "serving_default",
  inputs: new Map([
    ["a", a],
    ["b", b],
  ]),
  outputs: ["answer"],
});

/** An op that ONNX has no counterpart for: the regularised upper incomplete gamma function. Igammac(1, x) is exp(-x). */
const BEYOND_ONNX = "Igammac";

describe("TensorFlow as an engine", () => {
  it("auto runs on it what ONNX Runtime cannot, and says so", async () => {
    const fallbacks: EngineFallback[] = [];
    const engine = chooseEngine("auto", { onFallback: (fallback) => fallbacks.push(fallback) });
    const servable = await engine.load(binaryModel(BEYOND_ONNX));
    const answer = await servable.run(request(vector(1, 1), vector(1, 2)));
    const values = [...((answer.get("answer")?.data ?? []) as Float32Array)];
    assert.equal(values.length, 2);
    for (const [index, value] of values.entries()) assert.ok(Math.abs(value - Math.exp(-index - 1)) < 1e-6);
    assert.equal(fallbacks.length, 1);
    assert.match(fallbacks[0]?.reason ?? "", /Igammac.*answer/);
    await servable.close();
  });

  it("refuses an op that TensorFlow lacks, by name", async () => {
    await assert.rejects(new TensorFlowEngine().load(binaryModel("NoSuchOp")), {
      code: "UNSUPPORTED_OPS",
      message: /NoSuchOp/,
    });
  });

  it("refuses a request that cannot be computed without repeating it, and goes on", async () => {
    const servable = await new TensorFlowEngine().load(binaryModel("AddV2"));
    await assert.rejects(servable.run(request(vector(1, 2, 3), vector(1, 2))), {
      code: "INPUT_INVALID",
      message: /INVALID_ARGUMENT/,
    });
    assert.deepEqual((await servable.run(request(vector(1), vector(2)))).get("answer"), vector(3));
    await servable.close();
    await assert.rejects(servable.run(request(vector(1), vector(2))), { code: "CLOSED" });
  });

  it("leaves the caller's thread free, bounds its queue and takes cancelled requests out", async () => {
    const servable = await new TensorFlowEngine({ threads: 1, maxQueue: 2 }).load(binaryModel("MatMul"));
    const square = floats([1000, 1000], new Float32Array(1_000_000).fill(1));
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    const [running, waiting] = [servable.run(request(square, square)), servable.run(request(square, square))];
    const controller = new AbortController();
    const cancelled = servable.run({ ...request(square, square), signal: controller.signal });
    await assert.rejects(servable.run(request(square, square)), { code: "QUEUE_FULL" });
    controller.abort();
    await assert.rejects(cancelled, { code: "CANCELLED" });
    assert.equal((await running).get("answer")?.data[0], 1000);
    await waiting;
    clearInterval(timer);
    assert.ok(turns >= 3, `${turns} turns of the event loop`);
    await servable.close();
  });
});

describe("cloister serve --engine", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cloister-tensorflow-"));
    for (const [path, bytes] of binaryModel(BEYOND_ONNX)) {
      const place = join(folder, "1", path);
      await mkdir(dirname(place), { recursive: true });
      await writeFile(place, bytes);
    }
  });
  after(() => rm(folder, { recursive: true }));

  function serve(engine: string): ChildProcess {
    const main = join(import.meta.dirname, "../../packages/cli/src/main.ts");
    const args = ["--engine", engine, "--insecure", "--json", "--port=0", "--host=127.0.0.1"];
    return spawn(
      process.execPath,
      [main, "serve", ...args, `--model_base_path=${folder}`, "--max_num_load_retries=0"],
      {
        stdio: ["ignore", "pipe", "ignore"],
      },
    );
  }

  /** The events up to one of these names. */
  async function eventsUntil(child: ChildProcess, last: readonly string[]): Promise<string[]> {
    const events: string[] = [];
    assert.ok(child.stdout);
    for await (const line of createInterface(child.stdout)) {
      const { event } = JSON.parse(line) as { event: string };
      events.push(event);
      if (last.includes(event)) break;
    }
    return events;
  }

  async function endOf(child: ChildProcess, signal: "SIGKILL" | "SIGTERM"): Promise<unknown[]> {
    const exited = once(child, "exit");
    child.kill(signal);
    return exited;
  }

  it("auto loads the model with TensorFlow, tells it, and ends without a crash", async () => {
    const child = serve("auto");
    const events = await eventsUntil(child, ["loaded", "load_failed"]);
    assert.deepEqual(events.slice(-2), ["engine_fallback", "loaded"]);
    // A library that is unloaded while its threads run would end the process with a signal.
    assert.deepEqual(await endOf(child, "SIGTERM"), [0, null]);
  });

  it("tensorflow needs no fallback", async () => {
    const child = serve("tensorflow");
    const events = await eventsUntil(child, ["loaded", "load_failed"]);
    assert.ok(events.includes("loaded") && !events.includes("engine_fallback"));
    assert.deepEqual(await endOf(child, "SIGTERM"), [0, null]);
  });

  it("onnx refuses the model", async () => {
    const child = serve("onnx");
    const events = await eventsUntil(child, ["loaded", "load_failed"]);
    assert.equal(events.at(-1), "load_failed");
    await endOf(child, "SIGKILL");
  });
});
