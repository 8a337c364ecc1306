export { type Channel, createChannel } from "./channel/channel.ts";
export type { ChannelOptions, ChannelTls, UnaryRequest, UnaryResponse } from "./channel/options.ts";
export { ClientError, type ClientErrorCode } from "./errors.ts";
export { type ImageOptions, imageToTensor } from "./image/image-tensor.ts";
export { type ScoredClass, topK } from "./image/top-k.ts";
export { generateLoad, type LoadCallResult, type LoadOptions, type LoadReport } from "./load/load-generator.ts";
export { type LatencySummary, summarizeLatencies } from "./load/percentiles.ts";
export { type CallOptions, PredictClient, predictFrame, type Prediction, type PredictInput } from "./predict-client.ts";
