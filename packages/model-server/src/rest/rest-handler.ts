import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { EncodingError } from "@cloister/encoding";
import { SignatureDefMapSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/get_model_metadata_pb";
import { GetModelStatusResponseSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/get_model_status_pb";
import { ModelSpecSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/model_pb";
import type { GrpcStatusName } from "@cloister/encoding/grpc";
import { type ModelReference, toModelSpec } from "@cloister/encoding/tensor-proto";
import { callError, ModelServerError } from "../errors.ts";
import type { Api } from "../metrics/serving-metrics.ts";
import { observed, type ServingContext } from "../serving/context.ts";
import { classify, regress } from "../serving/infer-examples.ts";
import { signatureDefs } from "../serving/model-metadata.ts";
import { modelStatus } from "../serving/model-status.ts";
import { predict } from "../serving/predict.ts";
import { readExamplesBody, writeClassifyBody, writeRegressBody } from "./examples-json.ts";
import { readPredictBody, writePredictBody } from "./predict-json.ts";
import { type InferenceVerb, routeOf } from "./routes.ts";

export interface RestResponse {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

const API: Readonly<Record<InferenceVerb, Api>> = { predict: "Predict", classify: "Classify", regress: "Regress" };

const HTTP_STATUS: Partial<Record<GrpcStatusName, number>> = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  OUT_OF_RANGE: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  ABORTED: 409,
  RESOURCE_EXHAUSTED: 429,
  CANCELLED: 499,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
};

const NOT_FOUND_PAGE = "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n";

/** Answers one REST request as TensorFlow Serving's http_rest_api_handler.cc does. Never throws. */
export async function answerRest(
  context: ServingContext,
  request: { readonly method: string; readonly path: string; readonly body: Uint8Array; readonly signal: AbortSignal },
): Promise<RestResponse> {
  try {
    const route = routeOf(request.method, request.path);
    if (route.kind === "none") return { status: 404, contentType: "text/html", body: NOT_FOUND_PAGE };
    const { kind, model } = route;
    if (kind === "status" || kind === "metadata") {
      return json(kind === "status" ? statusBody(context, model) : metadataBody(context, model));
    }
    const about = { api: API[kind], entrypoint: "REST", model: model.name } as const;
    return json(await observed(context, about, () => infer(context, kind, model, request)));
  } catch (error) {
    return errorResponse(error);
  }
}

/** The answer to a failed request: its text as JSON, under the HTTP status of its code. */
export function errorResponse(error: unknown): RestResponse {
  const isCall = error instanceof ModelServerError;
  const isInput = error instanceof EncodingError;
  const text = isCall || isInput ? error.explanation.what : "Internal error.";
  const status = isCall ? (HTTP_STATUS[error.code as GrpcStatusName] ?? 500) : isInput ? 400 : 500;
  return { ...json(`{\n    "error": ${JSON.stringify(text)}\n}`), status };
}

function json(body: string): RestResponse {
  return { status: 200, contentType: "application/json", body };
}

async function infer(
  context: ServingContext,
  verb: InferenceVerb,
  reference: ModelReference,
  { body, signal }: { readonly body: Uint8Array; readonly signal: AbortSignal },
): Promise<string> {
  if (verb === "predict") {
    const request = readPredictBody(body);
    const model = { ...reference, signatureName: request.signatureName };
    const readInputs = request.readInputs.bind(request);
    const { outputs } = await predict(signatureErrors(context), { model, outputFilter: [], readInputs, signal });
    return writePredictBody(outputs, request.format);
  }
  const { signatureName, examples } = readExamplesBody(body);
  const call = { model: { ...reference, signatureName }, examples, signal };
  if (verb === "classify") return writeClassifyBody((await classify(context, call)).rows);
  return writeRegressBody((await regress(context, call)).rows);
}

/** REST says it differently where a signature does not exist: it looks before it parses. */
function signatureErrors(context: ServingContext): ServingContext {
  return {
    ...context,
    signatureMissing: (name) =>
      callError("INVALID_ARGUMENT", `Serving signature name: "${name}" not found in signature def`),
  };
}

function statusBody({ registry }: ServingContext, model: ModelReference): string {
  return pretty(messageJson(GetModelStatusResponseSchema, modelStatus(registry, model)));
}

function metadataBody({ registry }: ServingContext, model: ModelReference): string {
  const handle = registry.acquire(model);
  try {
    const spec = toModelSpec({ name: handle.name, version: handle.version, signatureName: "" });
    const definitions = signatureDefs(handle.servable);
    return pretty({
      model_spec: messageJson(ModelSpecSchema, spec),
      metadata: { signature_def: messageJson(SignatureDefMapSchema, definitions) },
    });
  } finally {
    handle.release();
  }
}

function messageJson<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): unknown {
  return toJson(schema, message, { alwaysEmitImplicit: true, useProtoFieldName: true });
}

function pretty(value: unknown): string {
  return `${JSON.stringify(value, undefined, 1)}\n`;
}
