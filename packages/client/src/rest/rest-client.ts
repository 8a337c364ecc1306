import { type DescMessage, fromJson, type JsonValue, type MessageShape } from "@bufbuild/protobuf";
import { utf8 } from "@cloister/encoding";
import type { SignatureDef } from "@cloister/encoding/gen/tensorflow/core/protobuf/meta_graph_pb";
import { SignatureDefMapSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/get_model_metadata_pb";
import {
  GetModelStatusResponseSchema,
  type ModelVersionStatus,
} from "@cloister/encoding/gen/tensorflow_serving/apis/get_model_status_pb";
import type { GrpcStatusName } from "@cloister/encoding/grpc";
import type { Tensor } from "@cloister/encoding/tensor";
import { layoutOfCode } from "@cloister/encoding/tensor-proto";
import { callFailed } from "../errors.ts";
import { nestedToTensor } from "../input/json-tensor.ts";
import type { CallOptions, ExamplesInput, ModelInput, PredictInput } from "../inputs.ts";
import type { Prediction } from "../predict-client.ts";
import { examplesJson } from "./examples-json.ts";
import { parseServingJson } from "./parse-json.ts";
import type { RestTransport } from "./rest-transport.ts";
import { tensorJson } from "./tensor-json.ts";

const DEFAULT_RETRIES = 5;
const DEFAULT_SIGNATURE = "serving_default";
const NO_BODY = new Uint8Array(0);

/** What an HTTP status says in gRPC's words. */
const STATUS_NAME: Readonly<Record<number, Exclude<GrpcStatusName, "OK">>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "ABORTED",
  412: "FAILED_PRECONDITION",
  429: "RESOURCE_EXHAUSTED",
  499: "CANCELLED",
  501: "UNIMPLEMENTED",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

/**
 * TensorFlow Serving's calls over its REST API, with typed arrays in and out. JSON does not say of what type an output is: the
 * signature does, which is asked for once for each model and version. Every failure is a `ClientError`.
 */
export class RestClient {
  readonly #transport: RestTransport;
  readonly #signatures = new Map<string, Promise<ReadonlyMap<string, SignatureDef>>>();

  constructor(transport: RestTransport) {
    this.#transport = transport;
  }

  predict(input: PredictInput, options: CallOptions = {}): Promise<Prediction> {
    return this.predictBody(input, restPredictBody(input), options);
  }

  /** Sends a body that `restPredictBody` made of the same input: for load, and for many calls with one input. */
  async predictBody(
    input: Omit<PredictInput, "inputs">,
    body: Uint8Array,
    options: CallOptions = {},
  ): Promise<Prediction> {
    const signatureName = input.signature ?? DEFAULT_SIGNATURE;
    const signatures = await this.#signaturesOf(input, options);
    const { answer, replica } = await this.#call("POST", `${modelPath(input)}:predict`, body, options);
    const outputs = readOutputs(member(answer, "outputs"), signatures.get(signatureName));
    const wanted = input.outputs ?? [];
    const version = input.version === undefined ? undefined : BigInt(input.version);
    return {
      outputs: wanted.length === 0 ? outputs : new Map([...outputs].filter(([alias]) => wanted.includes(alias))),
      // The API does not tell which version answered.
      model: { name: input.model, signatureName, ...(version !== undefined && { version }) },
      replica,
    };
  }

  /** For each example its classes, in the model's order. */
  async classify(
    input: ExamplesInput,
    options: CallOptions = {},
  ): Promise<readonly (readonly { readonly label: string; readonly score: number }[])[]> {
    const body = utf8(examplesJson(input.signature, input.examples, input.context));
    const { answer } = await this.#call("POST", `${modelPath(input)}:classify`, body, options);
    return list(member(answer, "results")).map((row) =>
      list(row).map((pair) => {
        const [label, score] = list(pair);
        return { label: String(label), score: Number(score) };
      }),
    );
  }

  /** For each example its value. */
  async regress(input: ExamplesInput, options: CallOptions = {}): Promise<readonly number[]> {
    const body = utf8(examplesJson(input.signature, input.examples, input.context));
    const { answer } = await this.#call("POST", `${modelPath(input)}:regress`, body, options);
    return list(member(answer, "results")).map(Number);
  }

  /** Every version of the model that the server has ever known, the highest first; or the one asked for. */
  async status(input: ModelInput, options: CallOptions = {}): Promise<readonly ModelVersionStatus[]> {
    const { answer } = await this.#call("GET", modelPath(input), NO_BODY, options);
    return message(GetModelStatusResponseSchema, answer).modelVersionStatus;
  }

  /** The signatures of a version. */
  async metadata(
    input: ModelInput,
    options: CallOptions = {},
  ): Promise<{ readonly version: bigint | undefined; readonly signatures: ReadonlyMap<string, SignatureDef> }> {
    const { answer } = await this.#call("GET", `${modelPath(input)}/metadata`, NO_BODY, options);
    const { version } = record(member(answer, "model_spec"));
    const map = message(SignatureDefMapSchema, member(member(answer, "metadata"), "signature_def"));
    return {
      version: typeof version === "string" || typeof version === "number" ? BigInt(version) : undefined,
      signatures: new Map(Object.entries(map.signatureDef)),
    };
  }

  async #signaturesOf(input: ModelInput, options: CallOptions): Promise<ReadonlyMap<string, SignatureDef>> {
    const key = modelPath(input);
    const asked = this.#signatures.get(key) ?? this.metadata(input, options).then(({ signatures }) => signatures);
    this.#signatures.set(key, asked);
    return asked.catch((error: unknown) => {
      this.#signatures.delete(key);
      throw error;
    });
  }

  async #call(
    method: "GET" | "POST",
    path: string,
    body: Uint8Array,
    options: CallOptions,
  ): Promise<{ answer: unknown; replica: string | undefined }> {
    const retries = options.retries ?? DEFAULT_RETRIES;
    const response = await this.#transport.send({ method, path, body, ...options, retries });
    const { status, replica } = response;
    if (status === 200) return { answer: parseServingJson(response.body), replica };
    // A version that is gone took its signatures with it.
    this.#signatures.clear();
    throw callFailed(STATUS_NAME[status] ?? (status >= 500 ? "INTERNAL" : "UNKNOWN"), errorText(status, response.body));
  }
}

/** The body of a predict request. */
export function restPredictBody({ signature = DEFAULT_SIGNATURE, inputs }: PredictInput): Uint8Array {
  const columns = [...inputs].map(([alias, tensor]) => `${JSON.stringify(alias)}:${tensorJson(tensor)}`);
  return utf8(`{"signature_name":${JSON.stringify(signature)},"inputs":{${columns.join(",")}}}`);
}

function modelPath({ model, version }: ModelInput): string {
  return `/v1/models/${encodeURIComponent(model)}${version === undefined ? "" : `/versions/${version}`}`;
}

/** One output stands alone; several stand under their names. */
function readOutputs(value: unknown, signature: SignatureDef | undefined): ReadonlyMap<string, Tensor> {
  const infos = Object.entries(signature?.outputs ?? {});
  const outputs = new Map<string, Tensor>();
  for (const [alias, { dtype }] of infos) {
    const layout = layoutOfCode(dtype);
    if (layout === undefined) throw callFailed("INTERNAL", "an output has a type that JSON does not carry");
    outputs.set(alias, nestedToTensor(infos.length === 1 ? value : member(value, alias), layout.dtype));
  }
  return outputs;
}

function message<Desc extends DescMessage>(schema: Desc, value: unknown): MessageShape<Desc> {
  try {
    return fromJson(schema, value as JsonValue, { ignoreUnknownFields: true });
  } catch (cause) {
    throw unreadable(cause);
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  throw unreadable();
}

function member(value: unknown, name: string): unknown {
  return record(value)[name];
}

function list(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw unreadable();
}

function unreadable(cause?: unknown): Error {
  return callFailed("INTERNAL", "the server's answer cannot be read", { cause });
}

function errorText(status: number, body: Uint8Array): string {
  try {
    const { error } = record(parseServingJson(body));
    if (typeof error === "string") return error;
  } catch {
    // Something between client and server answered.
  }
  return `HTTP status ${status}`;
}
