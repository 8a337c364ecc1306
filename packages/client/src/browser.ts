// What runs in a web page: no module of Node's is imported, directly or indirectly (packages/dashboard checks it). What a page can and
// cannot promise is in SECURITY.md.

export { INTEL_ROOT, type TrustAnchor, type VerifiedClaims } from "@cloister/attestation/webcrypto";
export { parsePolicy } from "@cloister/policy";
export type { AttestationOptions, RequiredLog, VerifiedReplica } from "./attested/options.ts";
export { pinnedPolicy } from "./attested/pinned-policy.ts";
export type { Channel } from "./channel/channel.ts";
export { ClientError, type ClientErrorCode } from "./errors.ts";
export type { Example, FeatureValues } from "./examples.ts";
export { type ScoredClass, topK } from "./image/top-k.ts";
export type { CallOptions, ExamplesInput, ModelInput, PredictInput } from "./inputs.ts";
export { jsonToTensor } from "./input/json-tensor.ts";
export { PredictClient, predictFrame, type Prediction } from "./predict-client.ts";
export { RestClient } from "./rest/rest-client.ts";
export type { RestTransport } from "./rest/rest-transport.ts";
export { createSealedRestTransport } from "./rest/sealed-rest-transport.ts";
export type { SealedOptions } from "./sealed/options.ts";
export { createSealedChannel } from "./sealed/sealed-channel.ts";
