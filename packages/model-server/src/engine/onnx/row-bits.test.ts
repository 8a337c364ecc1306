import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Tensor } from "@cloister/encoding/tensor";
import {
  fillUniform,
  generateResNet50,
  importFrozenGraph,
  type ModelFiles,
  readSavedModel,
  SignatureProgram,
} from "@cloister/saved-model";
import type { Servable } from "../engine.ts";
import { OnnxEngine } from "../onnx-engine.ts";
import { readModelDir } from "../testing/files.ts";
import { readRecordedModel } from "../testing/recorded-case.ts";

const ROWS = 9;
const BATCHES = [2, 3, 8];

interface Model {
  readonly files: ModelFiles;
  /** One row after the other. */
  readonly rows: Tensor;
}

function uniform(shape: readonly number[]): Tensor {
  const data = new Float32Array(shape.reduce((count, size) => count * size, 1));
  fillUniform(data, 3, 0, 1);
  return { dtype: "float", shape, data };
}

const tokens: Tensor = {
  dtype: "int32",
  shape: [ROWS, 16],
  data: Int32Array.from({ length: ROWS * 16 }, (_, index) => (index * 37 + 11) % 100),
};

const ENCODER = readModelDir(readRecordedModel("keras_encoder").dir);

const MODELS: Readonly<Record<string, () => Model>> = {
  "a transformer's encoder": () => ({ files: ENCODER, rows: tokens }),
  "a small convolutional network": () => ({
    files: readModelDir(join(import.meta.dirname, "../../../../../examples/digits/saved_model")),
    rows: uniform([ROWS, 8, 8, 1]),
  }),
  "a narrow ResNet-50": () => ({
    files: importFrozenGraph(generateResNet50({ imageSize: 32, widthDivisor: 8, seed: 7 })).files,
    rows: uniform([ROWS, 32, 32, 3]),
  }),
};

/** `count` rows from `first` on. */
function slice({ dtype, shape, data }: Tensor, first: number, count: number): Tensor {
  const size = data.length / (shape[0] ?? 1);
  return { dtype, shape: [count, ...shape.slice(1)], data: data.slice(first * size, (first + count) * size) };
}

/** The bits of each row of the answer to a batch. */
async function answerBits(servable: Servable, batch: Tensor): Promise<string[]> {
  const { inputs, outputs } = servable.signatures.get("serving_default") ?? assert.fail("no signature");
  const [input = ""] = inputs.keys();
  const [output = ""] = outputs.keys();
  const request = { signature: "serving_default", inputs: new Map([[input, batch]]), outputs: [output] };
  const answer = (await servable.run(request)).get(output) ?? assert.fail("no answer");
  const count = batch.shape[0] ?? 0;
  return Array.from({ length: count }, (_, row) => {
    const { data } = slice(answer, row, 1);
    return Buffer.from((data as Float32Array).buffer).toString("hex");
  });
}

describe("a row's answer has the same bits in every batch, at every place in it, on every lane", () => {
  for (const [name, make] of Object.entries(MODELS)) {
    for (const [lanes, threads] of [
      [1, 2],
      [2, 1],
    ] as const) {
      it(`${name}, lanes ${lanes}, threads ${threads}`, async () => {
        const { files, rows } = make();
        const servable = await new OnnxEngine({ execution: "worker", lanes, threads }).load(files);
        try {
          const alone = await Promise.all(
            Array.from({ length: ROWS }, async (_, row) => (await answerBits(servable, slice(rows, row, 1)))[0]),
          );
          assert.equal(new Set(alone).size, ROWS, "the model tells the rows apart");
          for (const count of BATCHES) {
            const firsts = Array.from({ length: ROWS - count + 1 }, (_, first) => first);
            // At the same time, so that all lanes have work.
            const batches = await Promise.all(firsts.map((first) => answerBits(servable, slice(rows, first, count))));
            for (const first of firsts) assert.deepEqual(batches[first], alone.slice(first, first + count));
          }
        } finally {
          await servable.close();
        }
      });
    }
  }

  it("the encoder runs on fused attention, layer normalization and GELU", () => {
    const model = readSavedModel(ENCODER, ["serve"]);
    const outputs = [...(model.signatures.get("serving_default")?.outputs.keys() ?? [])];
    const { steps } = new SignatureProgram(model, "serving_default", "declared").build(outputs);
    const graph = steps.map((step) => (step.kind === "onnx" ? Buffer.from(step.graph).toString("latin1") : "")).join();
    for (const op of ["MultiHeadAttention", "LayerNormalization", "Gelu"]) assert.ok(graph.includes(op), op);
  });
});
