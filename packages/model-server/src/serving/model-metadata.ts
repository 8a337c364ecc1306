import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { TensorProtoSchema } from "@cloister/encoding/gen/tensorflow/core/framework/tensor_pb";
import type {
  SignatureDefSchema,
  TensorInfoSchema,
} from "@cloister/encoding/gen/tensorflow/core/protobuf/meta_graph_pb";
import {
  GetModelMetadataRequestSchema,
  GetModelMetadataResponseSchema,
  type SignatureDefMap,
  SignatureDefMapSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/get_model_metadata_pb";
import { fromModelSpec, layoutOf, toModelSpec, writeTensorProto } from "@cloister/encoding/tensor-proto";
import type { Servable, TensorInfo } from "../engine/engine.ts";
import { callError } from "../errors.ts";
import type { UnaryHandler } from "../rpc/unary-call.ts";
import { requireModel } from "./model-spec.ts";
import type { ModelRegistry } from "./registry.ts";
import { serialize } from "./serialize.ts";

const FIELD = "signature_def";
const INIT_OP = "__saved_model_init_op";

/** PredictionService.GetModelMetadata: the signatures of a version. */
export function modelMetadataHandler(registry: ModelRegistry): UnaryHandler {
  return async (bytes) => {
    const { modelSpec, metadataField } = fromBinary(GetModelMetadataRequestSchema, bytes);
    const model = requireModel(modelSpec && fromModelSpec(modelSpec));
    if (metadataField.length === 0) {
      throw callError("INVALID_ARGUMENT", "GetModelMetadataRequest must specify at least one metadata_field");
    }
    const unknown = metadataField.find((field) => field !== FIELD);
    if (unknown !== undefined) throw callError("INVALID_ARGUMENT", `Metadata field ${unknown} is not supported`);
    const handle = registry.acquire(model);
    try {
      const signatures = anyPack(SignatureDefMapSchema, signatureDefs(handle.servable));
      const response = create(GetModelMetadataResponseSchema, {
        modelSpec: toModelSpec({ name: handle.name, version: handle.version, signatureName: "" }),
        metadata: { [FIELD]: signatures },
      });
      return serialize(GetModelMetadataResponseSchema, response);
    } finally {
      handle.release();
    }
  };
}

/** The signatures of a model as the message that tells them, with the one that names a TensorFlow 2 model's initialisation. */
export function signatureDefs({ signatures, initOp }: Pick<Servable, "signatures" | "initOp">): SignatureDefMap {
  const signatureDef: Record<string, MessageInitShape<typeof SignatureDefSchema>> = Object.fromEntries(
    [...signatures].map(([name, { methodName, inputs, outputs, defaults = [] }]) => [
      name,
      {
        methodName,
        inputs: tensorInfos(inputs),
        outputs: tensorInfos(outputs),
        defaults: Object.fromEntries(
          [...defaults].map(([alias, tensor]) => [
            alias,
            fromBinary(TensorProtoSchema, writeTensorProto(tensor, "values")),
          ]),
        ),
      },
    ]),
  );
  if (initOp !== undefined) {
    // It is an operation without a result.
    const none = { encoding: { case: "name" as const, value: initOp }, tensorShape: { unknownRank: true } };
    signatureDef[INIT_OP] = { outputs: { [INIT_OP]: none } };
  }
  return create(SignatureDefMapSchema, { signatureDef });
}

function tensorInfos(
  tensors: ReadonlyMap<string, TensorInfo>,
): Record<string, MessageInitShape<typeof TensorInfoSchema>> {
  return Object.fromEntries(
    [...tensors].map(([alias, { name, dtype, shape }]) => [
      alias,
      {
        encoding: { case: "name" as const, value: name },
        dtype: layoutOf(dtype).code,
        tensorShape:
          shape === undefined ? { unknownRank: true } : { dim: shape.map((size) => ({ size: BigInt(size) })) },
      },
    ]),
  );
}
