export { type Attestor, createAttestor } from "./attested/attestor.ts";
export type { AttestationOptions, VerifiedReplica } from "./attested/options.ts";
export { pinnedPolicy } from "./attested/pinned-policy.ts";
export { type Channel, createChannel } from "./channel/channel.ts";
export type { Address, ChannelOptions, ChannelTls, UnaryRequest, UnaryResponse } from "./channel/options.ts";
export { ClientError, type ClientErrorCode } from "./errors.ts";
export type { Example, FeatureValues } from "./examples.ts";
export { type ImageOptions, imageToTensor } from "./image/image-tensor.ts";
export { type ScoredClass, topK } from "./image/top-k.ts";
export { type HistogramBucket, histogramSvg, latencyHistogram } from "./load/histogram.ts";
export { generateLoad, type LoadCallResult, type LoadOptions, type LoadReport } from "./load/load-generator.ts";
export { type LatencySummary, summarizeLatencies } from "./load/percentiles.ts";
export {
  type CallOptions,
  type ExamplesInput,
  PredictClient,
  predictFrame,
  type Prediction,
  type PredictInput,
} from "./predict-client.ts";
export { jsonToTensor } from "./input/json-tensor.ts";
export { readNpy } from "./input/npy.ts";
export { randomTensor } from "./input/random-tensor.ts";
