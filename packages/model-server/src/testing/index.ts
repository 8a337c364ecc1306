/** Helpers for the tests of this package and of those that build on it. */
export { type TestCertificates, testCertificates, type TestIdentity } from "./certificates.ts";
export { GRPC_JS_PREDICT } from "./grpc-js-predict.ts";
export { elementwiseEngine } from "./elementwise-engine.ts";
