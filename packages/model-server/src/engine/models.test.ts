import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { create, toBinary } from "@bufbuild/protobuf";
import { ExampleSchema } from "@cloister/encoding/gen/tensorflow/core/example/example_pb";
import { FeatureSchema } from "@cloister/encoding/gen/tensorflow/core/example/feature_pb";
import type { Tensor } from "@cloister/encoding/tensor";
import { importFrozenGraph, type ModelFiles } from "@cloister/saved-model";
import { engineUnderTest } from "./testing/engine-under-test.ts";
import { jointAlias } from "./joint-signature.ts";
import { readModelDir } from "./testing/files.ts";

const MODELS = join(import.meta.dirname, "../../../saved-model/test-models");
const engine = engineUnderTest();

const model = (path: string): ModelFiles => readModelDir(join(MODELS, path));
const floats = (shape: readonly number[], ...values: number[]): Tensor => ({
  dtype: "float",
  shape,
  data: Float32Array.from(values),
});

const ints = (...values: number[]): Tensor => ({
  dtype: "int32",
  shape: [values.length],
  data: Int32Array.from(values),
});

const strings = (...data: Uint8Array[]): Tensor => ({ dtype: "string", shape: [data.length], data });

/** Serialized examples whose features are one float each. */
const examples = (...rows: Record<string, number>[]): Tensor =>
  strings(
    ...rows.map((row) => {
      const feature = Object.entries(row).map(
        ([key, value]) =>
          [key, create(FeatureSchema, { kind: { case: "floatList", value: { value: [value] } } })] as const,
      );
      return toBinary(ExampleSchema, create(ExampleSchema, { features: { feature: Object.fromEntries(feature) } }));
    }),
  );

async function run(
  files: ModelFiles,
  signature: string,
  inputs: Record<string, Tensor>,
  outputs: readonly string[],
): Promise<unknown[]> {
  const servable = await engine.load(files);
  try {
    const answers = await servable.run({ signature, inputs: new Map(Object.entries(inputs)), outputs });
    return outputs.map((alias) => Array.from(answers.get(alias)?.data as Float32Array));
  } finally {
    await servable.close();
  }
}

const HALF_PLUS_TWO = [
  "tfserving/saved_model_half_plus_two_2_versions/00000123",
  "tfserving/saved_model_half_plus_two_2_versions/00000124",
  "tfserving/saved_model_half_plus_two_cpu/00000123",
  "tfserving/saved_model_half_plus_two_cpu_with_empty_saved_model_config/00000123",
  "tfserving/saved_model_half_plus_two_gpu/00000123",
  "tfserving/saved_model_half_plus_two_tf2_cpu/00000123",
];

describe("models of TensorFlow Serving", () => {
  it("runs signatures of one input at once, outputs of the same alias apart", async () => {
    const servable = await engine.load(model("tfserving/saved_model_half_plus_two_cpu/00000123"));
    const signature = ["regress_x_to_y", "regress_x_to_y2", "classify_x_to_y"];
    const outputs = [
      jointAlias("regress_x_to_y", "outputs"),
      jointAlias("regress_x_to_y2", "outputs"),
      jointAlias("classify_x_to_y", "scores"),
    ];
    try {
      const inputs = new Map([["inputs", examples({ x: 2 }, { x: 20 })]]);
      const answers = await servable.run({ signature, inputs, outputs });
      assert.deepEqual(
        outputs.map((alias) => Array.from(answers.get(alias)?.data as Float32Array)),
        [
          [3, 12],
          [4, 13],
          [3, 12],
        ],
      );
      const missing = servable.run({ signature: ["regress_x_to_y", "none"], inputs, outputs: [] });
      await assert.rejects(missing, { code: "SIGNATURE_NOT_FOUND" });
    } finally {
      await servable.close();
    }
  });
  for (const path of HALF_PLUS_TWO) {
    it(`${path} gives x / 2 + 2`, async () => {
      assert.deepEqual(await run(model(path), "serving_default", { x: floats([3, 1], 2, 3, 4) }, ["y"]), [[3, 3.5, 4]]);
    });

    it(`${path} gives x2 / 2 + 3 through a tensor that is no placeholder`, async () => {
      const inputs = { inputs: floats([2, 1], 2, 4) };
      assert.deepEqual(await run(model(path), "regress_x2_to_y3", inputs, ["outputs"]), [[4, 5]]);
    });
  }

  it("half_plus_three gives x / 2 + 3", async () => {
    const files = model("tfserving/saved_model_half_plus_three/00000123");
    assert.deepEqual(await run(files, "serving_default", { x: floats([1, 1], 2) }, ["y"]), [[4]]);
  });

  it("matrix_half_plus_two has no variables and takes batches of matrices", async () => {
    const answers = await run(
      model("tfserving/matrix_half_plus_two/1"),
      "serving_default",
      { x: floats([1, 3, 3], 0, 1, 2, 3, 4, 5, 6, 7, 8) },
      ["y"],
    );
    assert.deepEqual(answers, [[2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6]]);
  });

  it("takes a shape that differs from the signature's where the graph can", async () => {
    const files = model("tfserving/saved_model_half_plus_two_tf2_cpu/00000123");
    assert.deepEqual(await run(files, "serving_default", { x: floats([4], 2, 3, 4, 5) }, ["y"]), [[3, 3.5, 4, 4.5]]);
  });

  for (const path of HALF_PLUS_TWO) {
    it(`${path} classifies and regresses serialized examples`, async () => {
      const inputs = { inputs: examples({ x: 2 }, { x: 3 }) };
      assert.deepEqual(await run(model(path), "classify_x_to_y", inputs, ["scores"]), [[3, 3.5]]);
      assert.deepEqual(await run(model(path), "regress_x_to_y", inputs, ["outputs"]), [[3, 3.5]]);
      assert.deepEqual(await run(model(path), "regress_x_to_y2", inputs, ["outputs"]), [[4, 4.5]]);
    });
  }

  it("an example without the feature gets the default, one of another type and rubbish are refused", async (test) => {
    const servable = await engine.load(model(HALF_PLUS_TWO[0] ?? ""));
    test.after(() => servable.close());
    const ask = (tensor: Tensor): Promise<ReadonlyMap<string, Tensor>> =>
      servable.run({ signature: "regress_x_to_y", inputs: new Map([["inputs", tensor]]), outputs: ["outputs"] });
    await assert.rejects(ask(strings(Uint8Array.of(1, 2, 3))), { code: "INPUT_INVALID" });
    await assert.rejects(ask(examples({ other: 1 })), { code: "INPUT_INVALID" });
    const whole = toBinary(
      ExampleSchema,
      create(ExampleSchema, {
        features: { feature: { x: { kind: { case: "int64List", value: { value: [1n] } } } } },
      }),
    );
    await assert.rejects(ask(strings(whole)), { code: "INPUT_INVALID" });
  });

  for (const execution of ["inline", "worker"] as const) {
    it(`the counter counts over requests (${execution})`, async (test) => {
      const servable = await engineUnderTest(execution).load(model("tfserving/saved_model_counter/00000123"));
      test.after(() => servable.close());
      const ask = async (signature: string, inputs: Record<string, Tensor> = {}): Promise<unknown> => {
        const request = { signature, inputs: new Map(Object.entries(inputs)), outputs: ["output"] };
        return (await servable.run(request)).get("output")?.data[0];
      };
      assert.equal(await ask("get_counter"), 0);
      assert.equal(await ask("incr_counter"), 1);
      assert.equal(await ask("incr_counter_by", { delta: floats([], 3) }), 4);
      assert.equal(await ask("get_counter"), 4);
      assert.equal(await ask("get_counter"), 4);
      assert.equal(await ask("reset_counter"), 0);
      assert.equal(await ask("get_counter"), 0);
    });
  }

  it("refuses an export from before SavedModel", async () => {
    await assert.rejects(engine.load(model("tfserving/bad_half_plus_two/00000123")), { code: "FILE_MISSING" });
  });
});

describe("models of TensorFlow.js", () => {
  it("int64_multiply gives x * 6", async () => {
    const x: Tensor = { dtype: "int64", shape: [1], data: BigInt64Array.of(7n) };
    assert.deepEqual(await run(model("tfjs-node/int64_multiply"), "serving_default", { x }, ["output_0"]), [[42n]]);
  });

  it("times_two_int gives x * 2", async () => {
    const x: Tensor = { dtype: "int32", shape: [1], data: Int32Array.of(-21) };
    assert.deepEqual(await run(model("tfjs-node/times_two_int"), "serving_default", { x }, ["output_0"]), [[-42]]);
  });

  it("times_three_float gives x * 3", async () => {
    const inputs = { x: floats([1], 1.5) };
    assert.deepEqual(await run(model("tfjs-node/times_three_float"), "serving_default", inputs, ["output_0"]), [[4.5]]);
  });

  it("model_multi_output gives 2 x and y", async () => {
    const inputs = { x: ints(2), y: ints(5) };
    assert.deepEqual(
      await run(model("tfjs-node/model_multi_output"), "serving_default", inputs, ["output_0", "output_1"]),
      [[4], [5]],
    );
  });

  it("model_single_input_multi_output gives 2 x and x, each alone too", async () => {
    const files = model("tfjs-node/model_single_input_multi_output");
    assert.deepEqual(await run(files, "serving_default", { x: ints(3) }, ["output_0", "output_1"]), [[6], [3]]);
    assert.deepEqual(await run(files, "serving_default", { x: ints(3) }, ["output_1"]), [[3]]);
  });
});

describe("models of tensorflow-onnx", () => {
  it("lstm: dropout vanishes with a keep probability of 1", async () => {
    const frozen = readFileSync(join(MODELS, "tf2onnx/lstm/frozen.pb"));
    const { files } = importFrozenGraph(new Uint8Array(frozen), { inputs: ["X", "keep_prob"], outputs: ["output"] });
    const inputs = {
      X: floats([1, 784], ...Array.from({ length: 784 }, (_, i) => (i % 7) / 7)),
      keep_prob: floats([], 1),
    };
    const first = await run(files, "serving_default", inputs, ["output"]);
    assert.ok((first[0] as number[]).every(Number.isFinite));
    assert.deepEqual(await run(files, "serving_default", inputs, ["output"]), first);
  });

  it("regression: SavedModel and frozen graph agree", async () => {
    const frozen = readFileSync(join(MODELS, "tf2onnx/regression/graphdef/frozen.pb"));
    const { files } = importFrozenGraph(new Uint8Array(frozen), { inputs: ["X"], outputs: ["pred"] });
    const inputs = { X: floats([3], 1, 2, 3) };
    const fromFrozen = await run(files, "serving_default", inputs, ["pred"]);
    assert.deepEqual(
      fromFrozen,
      await run(model("tf2onnx/regression/saved_model"), "serving_default", inputs, ["pred"]),
    );
    assert.ok((fromFrozen[0] as number[]).every((value) => Number.isFinite(value) && value !== 0));
  });
});
