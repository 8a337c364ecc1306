import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { Tensor } from "@cloister/encoding/tensor";
import type { Servable } from "../engine.ts";
import { OnnxEngine } from "../onnx-engine.ts";
import { readModelDir } from "../testing/files.ts";

const DIGITS = readModelDir(join(import.meta.dirname, "../../../../../examples/digits/saved_model"));
const COUNTER = readModelDir(
  join(import.meta.dirname, "../../../../saved-model/test-models/tfserving/saved_model_counter/00000123"),
);

const images = (count: number): Tensor => ({
  dtype: "float",
  shape: [count, 8, 8, 1],
  data: new Float32Array(64 * count).fill(0.5),
});

describe("a model in a worker thread", () => {
  let servable: Servable;
  before(async () => {
    servable = await new OnnxEngine({ execution: "worker", maxQueue: 4, threads: 1 }).load(DIGITS);
  });
  after(() => servable.close());

  const run = (tensor: Tensor, signal?: AbortSignal) =>
    servable.run({
      signature: "serving_default",
      inputs: new Map([["input", tensor]]),
      outputs: ["predict"],
      ...(signal && { signal }),
    });

  it("leaves the caller's thread free while it computes", async () => {
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    await run(images(20_000));
    clearInterval(timer);
    assert.ok(turns >= 3, `${turns} turns of the event loop`);
  });

  it("refuses requests beyond its queue, and serves those within it", async () => {
    const requests = Array.from({ length: 8 }, () => run(images(2000)));
    const outcomes = await Promise.allSettled(requests);
    const codes = outcomes.map((outcome) =>
      outcome.status === "rejected" ? (outcome.reason as { code: string }).code : "ok",
    );
    // Two are in the worker at once, four wait.
    assert.deepEqual(codes, ["ok", "ok", "ok", "ok", "ok", "ok", "QUEUE_FULL", "QUEUE_FULL"]);
  });

  it("takes a cancelled request out of the queue", async () => {
    const controller = new AbortController();
    const first = [run(images(2000)), run(images(2000))];
    const waiting = run(images(1), controller.signal);
    controller.abort();
    await assert.rejects(waiting, { code: "CANCELLED" });
    await assert.rejects(run(images(1), controller.signal), { code: "CANCELLED" });
    await Promise.all(first);
  });

  it("leaves the caller its arrays", async () => {
    const shared = new Float32Array(128).fill(0.25);
    const tensor: Tensor = { dtype: "float", shape: [1, 8, 8, 1], data: shared.subarray(64) };
    const [first, second] = [await run(tensor), await run(tensor)];
    assert.equal(shared[0], 0.25);
    assert.deepEqual(first, second);
  });

  it("uses the memory of a request again without mixing requests up", async () => {
    const values = (value: number): Tensor => ({ ...images(400), data: new Float32Array(400 * 64).fill(value) });
    const answers: unknown[] = [];
    for (const value of [0.1, 0.9]) answers.push((await run(values(value))).get("predict")?.data);
    assert.notDeepEqual(answers[0], answers[1]);
    const together = await Promise.all([0.1, 0.9, 0.1].map((value) => run(values(value))));
    assert.deepEqual(
      together.map((answer) => answer.get("predict")?.data),
      [answers[0], answers[1], answers[0]],
    );
    // A larger request left its memory to this one, whose rows are fewer.
    assert.equal((await run(images(399))).get("predict")?.shape[0], 399);
  });

  it("refuses an array whose buffer was given away, and goes on", async () => {
    const tensor = images(1);
    structuredClone(tensor.data, { transfer: [(tensor.data as Float32Array).buffer as ArrayBuffer] });
    await assert.rejects(run(tensor), { code: "INPUT_INVALID" });
    await run(images(1));
  });

  it("refuses requests that do not fit the signature, with a code", async () => {
    const inputs = new Map([["input", images(1)]]);
    const outputs = ["predict"];
    const signature = "serving_default";
    await assert.rejects(servable.run({ signature: "other", inputs, outputs }), { code: "SIGNATURE_NOT_FOUND" });
    await assert.rejects(servable.run({ signature, inputs: new Map(), outputs }), { code: "INPUT_MISSING" });
    await assert.rejects(servable.run({ signature, inputs: new Map([...inputs, ["more", images(1)]]), outputs }), {
      code: "INPUT_UNKNOWN",
    });
    await assert.rejects(servable.run({ signature, inputs, outputs: ["none"] }), { code: "OUTPUT_UNKNOWN" });
    const integers: Tensor = { dtype: "int32", shape: [1, 8, 8, 1], data: new Int32Array(64) };
    await assert.rejects(run(integers), { code: "INPUT_INVALID" });
    await assert.rejects(run({ dtype: "float", shape: [1, 8, 8, 1], data: new Float32Array(63) }), {
      code: "INPUT_INVALID",
    });
    await assert.rejects(run({ dtype: "float", shape: [64], data: new Float32Array(64) }), { code: "INPUT_INVALID" });
  });

  it("gives an empty answer for an empty batch", async () => {
    const answer = await run(images(0));
    assert.deepEqual(answer.get("predict")?.shape, [0, 10]);
  });

  it("passes errors of loading on with their codes", async () => {
    const files = new Map([["saved_model.pb", Uint8Array.of(0xff)]]);
    await assert.rejects(new OnnxEngine({ execution: "worker" }).load(files), {
      name: "SavedModelError",
      code: "PROTO_MALFORMED",
    });
  });

  it("computes on two threads at a time with two lanes, the same bits on each", async () => {
    const other = await new OnnxEngine({ execution: "worker", lanes: 2, threads: 1, maxQueue: 4 }).load(DIGITS);
    const requests = Array.from({ length: 10 }, () =>
      other.run({ signature: "serving_default", inputs: new Map([["input", images(500)]]), outputs: ["predict"] }),
    );
    const settled = await Promise.allSettled(requests);
    // Two in each lane, four wait.
    assert.equal(settled.filter(({ status }) => status === "fulfilled").length, 8);
    const answers = settled.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value] : []));
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    await other.close();
  });

  it("loads in a thread that was made ready before, and needs none for a small model", async () => {
    const engine = new OnnxEngine({ threads: 1 });
    for (const files of [DIGITS, COUNTER, DIGITS]) {
      engine.prepare();
      engine.prepare();
      const other = await engine.load(files);
      assert.ok(other.signatures.size > 0);
      await other.close();
    }
  });

  it("keeps a model that requests change in one lane", async () => {
    const counter = await new OnnxEngine({ execution: "worker", lanes: 2 }).load(COUNTER);
    const ask = (signature: string) => counter.run({ signature, inputs: new Map(), outputs: ["output"] });
    const counts = await Promise.all(Array.from({ length: 6 }, () => ask("incr_counter")));
    assert.deepEqual(
      counts.map((answer) => answer.get("output")?.data[0]),
      [1, 2, 3, 4, 5, 6],
    );
    await counter.close();
  });

  it("answers what runs and refuses what waits when it is closed", async () => {
    const other = await new OnnxEngine({ execution: "worker" }).load(DIGITS);
    const requests = Array.from({ length: 4 }, () =>
      other.run({ signature: "serving_default", inputs: new Map([["input", images(500)]]), outputs: ["predict"] }),
    );
    const settled = Promise.allSettled(requests);
    await other.close();
    const codes = (await settled).map((outcome) =>
      outcome.status === "rejected" ? (outcome.reason as { code: string }).code : "ok",
    );
    assert.deepEqual(codes, ["ok", "ok", "CLOSED", "CLOSED"]);
  });
});
