import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { DataType } from "@cloister/encoding/gen/tensorflow/core/framework/types_pb";
import { SignatureDefSchema } from "@cloister/encoding/gen/tensorflow/core/protobuf/meta_graph_pb";
import { readSignature } from "./saved-model.ts";

describe("readSignature()", () => {
  it("sets tensors apart that no request can carry, with their dtype", () => {
    const signature = create(SignatureDefSchema, {
      inputs: {
        x: { encoding: { case: "name", value: "x:0" }, dtype: DataType.DT_FLOAT },
        z: { encoding: { case: "name", value: "z:0" }, dtype: DataType.DT_COMPLEX64 },
      },
      outputs: { y: { encoding: { case: "cooSparse", value: {} }, dtype: DataType.DT_FLOAT } },
    });
    const { inputs, outputs, unfit = [] } = readSignature("serving_default", signature);
    assert.deepEqual([...inputs.keys(), ...outputs.keys()], ["x"]);
    assert.deepEqual(
      unfit.map(({ op, node }) => [op, node]),
      [
        ["the signature's input z", "z:0"],
        ["the signature's output y", "y"],
      ],
    );
    assert.match(unfit[0]?.reason ?? "", /complex64/);
  });
});
