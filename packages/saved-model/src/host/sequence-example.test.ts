import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { SequenceExampleSchema } from "@cloister/encoding/gen/tensorflow/core/example/example_pb";
import type { FeatureSchema } from "@cloister/encoding/gen/tensorflow/core/example/feature_pb";
import { HostRefusal } from "./refusal.ts";
import { type DenseListFeature, SequenceExampleBatch } from "./sequence-example.ts";

const PAIRS: DenseListFeature = { key: "pairs", dtype: "float", shape: [2], mayBeMissing: false };

function floats(...value: number[]): MessageInitShape<typeof FeatureSchema> {
  return { kind: { case: "floatList", value: { value } } };
}

/** A message whose only feature list has these steps. */
function message(...feature: MessageInitShape<typeof FeatureSchema>[]): Uint8Array {
  const featureLists = { featureList: { pairs: { feature } } };
  return toBinary(SequenceExampleSchema, create(SequenceExampleSchema, { featureLists }));
}

function refuses(run: () => unknown, why: RegExp): void {
  assert.throws(run, (error) => error instanceof HostRefusal && why.test(error.message));
}

describe("a feature list", () => {
  it("that is required and missing is refused", () => {
    const batch = new SequenceExampleBatch([new Uint8Array()], false);
    refuses(() => batch.dense(PAIRS), /required/);
    assert.deepEqual(batch.dense({ ...PAIRS, mayBeMissing: true })[0].shape, [1, 0, 2]);
  });

  it("with a step of another length is refused, also one without values", () => {
    for (const step of [floats(1), floats(1, 2, 3), {}]) {
      refuses(() => new SequenceExampleBatch([message(floats(1, 2), step)], false).dense(PAIRS), /wrong number/);
    }
  });

  it("of another type is refused", () => {
    const batch = new SequenceExampleBatch([message(floats(1, 2))], false);
    refuses(() => batch.dense({ ...PAIRS, dtype: "int64" }), /another type/);
    refuses(() => batch.sparse({ key: "pairs", dtype: "string" }), /another type/);
  });

  it("that would make the others too long is refused", () => {
    const one = message(...Array.from({ length: 2 ** 13 }, () => floats(1)));
    const grown = new SequenceExampleBatch([one, ...Array.from({ length: 2 ** 13 }, () => message())], false);
    refuses(() => grown.dense({ ...PAIRS, shape: [1] }), /too many steps/);
  });
});

it("what is no message is refused", () => {
  refuses(() => new SequenceExampleBatch([Uint8Array.of(10, 200)], true), /SequenceExample/);
});
