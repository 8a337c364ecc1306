import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { EncodingError } from "@cloister/encoding";
import { frameGrpcMessage, GRPC_PREFIX_LENGTH, writeGrpcPrefix } from "@cloister/encoding/grpc";
import type { SignatureDef } from "@cloister/encoding/gen/tensorflow/core/protobuf/meta_graph_pb";
import {
  ClassificationRequestSchema,
  ClassificationResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/classification_pb";
import {
  RegressionRequestSchema,
  RegressionResponseSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/regression_pb";
import {
  GetModelMetadataRequestSchema,
  GetModelMetadataResponseSchema,
  SignatureDefMapSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/get_model_metadata_pb";
import {
  GetModelStatusRequestSchema,
  GetModelStatusResponseSchema,
  type ModelVersionStatus,
} from "@cloister/encoding/gen/tensorflow_serving/apis/get_model_status_pb";
import type { Tensor } from "@cloister/encoding/tensor";
import {
  type ModelReference,
  readPredictResponse,
  readTensorProto,
  toModelSpec,
  writePredictRequest,
} from "@cloister/encoding/tensor-proto";
import type { Channel } from "./channel/channel.ts";
import type { UnaryResponse } from "./channel/options.ts";
import { callFailed } from "./errors.ts";
import { exampleInput } from "./examples.ts";
import type { CallOptions, ExamplesInput, ModelInput, PredictInput } from "./inputs.ts";

const DEFAULT_RETRIES = 5;

export interface Prediction {
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** What answered: the version is the one that was used. */
  readonly model: ModelReference | undefined;
  readonly replica: string | undefined;
}

/** TensorFlow Serving's calls. Every failure is a `ClientError` with the gRPC status as its code. */
export class PredictClient {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  async predict(input: PredictInput, options: CallOptions = {}): Promise<Prediction> {
    return this.predictFrame(predictFrame(input), options);
  }

  /** Sends a request that was serialized before, by `predictFrame`: for load, and for many calls with one input. */
  async predictFrame(frame: Uint8Array, options: CallOptions = {}): Promise<Prediction> {
    const response = await this.#send("/tensorflow.serving.PredictionService/Predict", frame, options);
    return readPrediction(response);
  }

  /** For each example its classes, in the model's order. */
  async classify(
    input: ExamplesInput,
    options: CallOptions = {},
  ): Promise<readonly (readonly { readonly label: string; readonly score: number }[])[]> {
    const fields = { modelSpec: toModelSpec(reference(input)), input: exampleInput(input.examples, input.context) };
    const request = toBinary(ClassificationRequestSchema, create(ClassificationRequestSchema, fields));
    const path = "/tensorflow.serving.PredictionService/Classify";
    const { message } = await this.#send(path, frameGrpcMessage(request), options);
    const { result } = readMessage(ClassificationResponseSchema, message);
    return (result?.classifications ?? []).map(({ classes }) => classes.map(({ label, score }) => ({ label, score })));
  }

  /** For each example its value. */
  async regress(input: ExamplesInput, options: CallOptions = {}): Promise<readonly number[]> {
    const fields = { modelSpec: toModelSpec(reference(input)), input: exampleInput(input.examples, input.context) };
    const request = toBinary(RegressionRequestSchema, create(RegressionRequestSchema, fields));
    const path = "/tensorflow.serving.PredictionService/Regress";
    const { message } = await this.#send(path, frameGrpcMessage(request), options);
    return (readMessage(RegressionResponseSchema, message).result?.regressions ?? []).map(({ value }) => value);
  }

  /** Every version of the model that the server has ever known, the highest first; or the one asked for. */
  async status(input: ModelInput, options: CallOptions = {}): Promise<readonly ModelVersionStatus[]> {
    const request = create(GetModelStatusRequestSchema, { modelSpec: toModelSpec(reference(input)) });
    const frame = frameGrpcMessage(toBinary(GetModelStatusRequestSchema, request));
    const { message } = await this.#send("/tensorflow.serving.ModelService/GetModelStatus", frame, options);
    return readMessage(GetModelStatusResponseSchema, message).modelVersionStatus;
  }

  /** The signatures of a version. */
  async metadata(
    input: ModelInput,
    options: CallOptions = {},
  ): Promise<{ readonly version: bigint | undefined; readonly signatures: ReadonlyMap<string, SignatureDef> }> {
    const metadataField = ["signature_def"];
    const request = create(GetModelMetadataRequestSchema, { modelSpec: toModelSpec(reference(input)), metadataField });
    const frame = frameGrpcMessage(toBinary(GetModelMetadataRequestSchema, request));
    const path = "/tensorflow.serving.PredictionService/GetModelMetadata";
    const { message } = await this.#send(path, frame, options);
    const { modelSpec, metadata } = readMessage(GetModelMetadataResponseSchema, message);
    const any = metadata["signature_def"];
    const signatures = any && anyUnpack(any, SignatureDefMapSchema);
    if (signatures === undefined) throw callFailed("INTERNAL", "the answer holds no signatures");
    const choice = modelSpec?.versionChoice;
    return {
      version: choice?.case === "version" ? choice.value.value : undefined,
      signatures: new Map(Object.entries(signatures.signatureDef)),
    };
  }

  #send(path: string, frame: Uint8Array, options: CallOptions): Promise<UnaryResponse> {
    return this.#channel.call({ path, frame, ...options, retries: options.retries ?? DEFAULT_RETRIES });
  }
}

/** A serialized Predict call, with gRPC's prefix. */
export function predictFrame(input: PredictInput): Uint8Array {
  const request = { model: reference(input), inputs: input.inputs, outputFilter: input.outputs ?? [] };
  const frame = writePredictRequest(request, "content", GRPC_PREFIX_LENGTH);
  writeGrpcPrefix(frame);
  return frame;
}

function reference(input: ModelInput & { readonly signature?: string }): ModelReference {
  const base = { name: input.model, signatureName: input.signature ?? "" };
  return input.version === undefined ? base : { ...base, version: BigInt(input.version) };
}

function readPrediction({ message, replica }: UnaryResponse): Prediction {
  try {
    const raw = readPredictResponse(message);
    const outputs = new Map<string, Tensor>();
    for (const [alias, bytes] of raw.outputs) outputs.set(alias, readTensorProto(bytes));
    return { outputs, model: raw.model, replica };
  } catch (cause) {
    if (!(cause instanceof EncodingError)) throw cause;
    throw callFailed("INTERNAL", "the server's answer cannot be read", { cause });
  }
}

function readMessage<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw callFailed("INTERNAL", "the server's answer cannot be read", { cause });
  }
}
