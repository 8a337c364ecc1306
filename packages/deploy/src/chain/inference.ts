import { readFile } from "node:fs/promises";
import { createChannel, PredictClient, runLoad } from "@cloister/client";
import type { Tensor } from "@cloister/encoding/tensor";
import { OnnxEngine, type Servable } from "@cloister/model-server/engine";
import { DeployError } from "../errors.ts";
import type { Gateway } from "../gateway/gateway.ts";
import type { Observe } from "./events.ts";
import type { OwnedModel } from "./model.ts";
import { type RequesterFiles, SERVING_NAME } from "./owner.ts";
import type { InferenceReport } from "./report.ts";
import { randomSamples, readLabelledImages, type Sample, TOLERANCE } from "./samples.ts";

const SIGNATURE = "serving_default";

export interface InferenceContext {
  readonly model: OwnedModel;
  readonly gateway: Gateway;
  readonly requester: RequesterFiles;
}

export interface InferenceOptions {
  /** Requests in all. Samples are sent in turn. */
  readonly requests: number;
  readonly concurrency: number;
}

/** One sample's first answer. */
export interface Prediction {
  readonly sample: Sample;
  /** Index of the largest output value. */
  readonly top: number;
  readonly probability: number;
  readonly maxDifference: number;
  readonly right: boolean;
  readonly replica: string;
}

export interface InferenceResult {
  readonly report: InferenceReport;
  readonly predictions: readonly Prediction[];
  /** Requests answered by each replica. */
  readonly shares: ReadonlyMap<string, number>;
  /** Where the reference answers come from. */
  readonly reference: string;
}
