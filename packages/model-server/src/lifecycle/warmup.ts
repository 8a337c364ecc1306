import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { ClassificationRequestSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/classification_pb";
import { MultiInferenceRequestSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/inference_pb";
import { PredictRequestSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/predict_pb";
import {
  type PredictionLog,
  PredictionLogSchema,
} from "@cloister/encoding/gen/tensorflow_serving/apis/prediction_log_pb";
import { RegressionRequestSchema } from "@cloister/encoding/gen/tensorflow_serving/apis/regression_pb";
import { readInferenceRequest, readMultiInferenceRequest } from "@cloister/encoding/inference-messages";
import { type ModelReference, readPredictRequest } from "@cloister/encoding/tensor-proto";
import type { ModelFiles } from "@cloister/saved-model";
import type { Servable } from "../engine/engine.ts";
import { callError } from "../errors.ts";
import { classifyOn, multiInferOn, regressOn } from "../serving/infer-examples.ts";
import { predictOn } from "../serving/predict.ts";
import { readTensors } from "../serving/predict-rpc.ts";
import { DEFAULT_SIGNATURE } from "../serving/run-signature.ts";
import { readTfRecords } from "./tf-record.ts";

/** Where a version's warm-up requests are, within its folder. */
const WARMUP_FILE = "assets.extra/tf_serving_warmup_requests";
const MAX_RECORDS = 1000;
const MAX_TENSOR_BYTES = 256 * 1024 * 1024;

/**
 * Sends a version the requests that came with it, before anybody else can; each `iterations` times. Returns how many records
 * there were, and throws what a request throws: the version is not served then.
 */
export async function warmUp(servable: Servable, files: ModelFiles, iterations: number): Promise<number> {
  const file = files.get(WARMUP_FILE);
  if (file === undefined) return 0;
  let count = 0;
  for (const record of readTfRecords(file)) {
    if (++count > MAX_RECORDS) {
      throw callError("INVALID_ARGUMENT", `Number of warmup records exceeds the maximum (${MAX_RECORDS})`);
    }
    const log = fromBinary(PredictionLogSchema, record);
    for (let run = 0; run < Math.max(1, iterations); run++) await replay(servable, log);
  }
  return count;
}

async function replay(servable: Servable, { logType }: PredictionLog): Promise<void> {
  const call = { signal: undefined };
  switch (logType.case) {
    case "predictLog": {
      const request = readPredictRequest(toBinary(PredictRequestSchema, required(logType.value.request)));
      const { outputFilter, model } = request;
      const inputs = { outputFilter, readInputs: readerOf(request), ...call };
      await predictOn(servable, signatureOf(model), inputs, false);
      break;
    }
    case "classifyLog": {
      const request = readInferenceRequest(toBinary(ClassificationRequestSchema, required(logType.value.request)));
      await classifyOn(servable, signatureOf(request.model), { ...request, ...call }, false);
      break;
    }
    case "regressLog": {
      const request = readInferenceRequest(toBinary(RegressionRequestSchema, required(logType.value.request)));
      await regressOn(servable, signatureOf(request.model), { ...request, ...call }, false);
      break;
    }
    case "multiInferenceLog": {
      const bytes = toBinary(MultiInferenceRequestSchema, required(logType.value.request));
      await multiInferOn({ servable, name: "", version: 0n }, { ...readMultiInferenceRequest(bytes), ...call }, false);
      break;
    }
    case undefined:
      throw callError("UNIMPLEMENTED", "Unsupported log_type for warmup");
  }
}

function readerOf(request: ReturnType<typeof readPredictRequest>): Parameters<typeof predictOn>[2]["readInputs"] {
  return (signature) => readTensors(request, signature, MAX_TENSOR_BYTES);
}

function required<Message>(message: Message | undefined): Message {
  if (message === undefined) throw callError("INVALID_ARGUMENT", "A warmup record holds no request");
  return message;
}

function signatureOf(model: ModelReference | undefined): string {
  const name = model?.signatureName ?? "";
  return name === "" ? DEFAULT_SIGNATURE : name;
}
