import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { generateResNet50 } from "../generate/resnet50.ts";
import { inspectModel } from "../inspect.ts";
import { readSavedModel } from "../saved-model.ts";
import { importFrozenGraph } from "./import-frozen-graph.ts";

const MODELS = join(import.meta.dirname, "../../test-models");
const frozen = new Uint8Array(readFileSync(join(MODELS, "tf2onnx/regression/graphdef/frozen.pb")));

describe("import of a frozen graph", () => {
  it("writes a SavedModel that reads back with the signature asked for", () => {
    const { files } = importFrozenGraph(frozen, { inputs: ["X"], outputs: ["pred:0"], signature: "linear" });
    const { signatures, metaGraph } = readSavedModel(files);
    const signature = signatures.get("linear");
    assert.deepEqual(metaGraph.metaInfoDef?.tags, ["serve"]);
    assert.equal(signature?.methodName, "tensorflow/serving/predict");
    assert.deepEqual([...(signature?.inputs ?? [])][0]?.[0], "X");
    assert.equal(signature?.outputs.get("pred")?.name, "pred:0");
    assert.equal(signature?.outputs.get("pred")?.dtype, "float");
  });

  it("lists the candidates for a wrong name", () => {
    assert.throws(() => importFrozenGraph(frozen), { code: "NODE_NOT_FOUND", message: /candidates are .*X/ });
    assert.throws(() => importFrozenGraph(frozen, { inputs: ["X"] }), {
      code: "NODE_NOT_FOUND",
      message: /candidates are .*pred/,
    });
  });

  it("refuses what is no graph", () => {
    assert.throws(() => importFrozenGraph(Uint8Array.of(0xff, 0xff)), { code: "PROTO_MALFORMED" });
  });
});

describe("inspection", () => {
  it("counts ops, and says that nothing is missing", () => {
    const path = join(MODELS, "tfserving/saved_model_counter/00000123");
    const names = ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"];
    const inspection = inspectModel(
      new Map(names.map((name) => [name, new Uint8Array(readFileSync(join(path, name)))])),
    );
    assert.equal(inspection.isRunnable, true);
    assert.equal(inspection.variableCount, 1);
    assert.equal(inspection.ops.get("AssignAdd"), 2);
    assert.deepEqual(
      inspection.signatures.map(({ missing }) => missing),
      [[], [], [], []],
    );
  });
});

describe("the ResNet-50 generator", () => {
  it("gives the same bytes for the same seed, others for another", () => {
    const small = { imageSize: 32, widthDivisor: 16 };
    const first = generateResNet50({ ...small, seed: 3 });
    assert.deepEqual(generateResNet50({ ...small, seed: 3 }), first);
    assert.notDeepEqual(generateResNet50({ ...small, seed: 4 }), first);
  });

  it("has the structure of the published model", () => {
    const { files, signature } = importFrozenGraph(generateResNet50({ imageSize: 32, widthDivisor: 16 }));
    const inspection = inspectModel(files);
    assert.equal(inspection.isRunnable, true);
    assert.equal(inspection.nodeCount, 454);
    assert.equal(inspection.ops.get("Conv2D"), 53);
    assert.deepEqual(signature.outputs.get("predict")?.shape, [-1, 1001]);
  });
});
