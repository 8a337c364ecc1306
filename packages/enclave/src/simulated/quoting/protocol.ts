import type { SimulatedQuoteOptions } from "@cloister/attestation/simulated";
import { asBuffer } from "@cloister/encoding";
import { z } from "zod";

/**
 * What gives quotes of a SIMULATED platform: the platform itself, or the quoting service of a node that several replicas
 * share.
 */
export interface QuoteSource {
  quote(options: SimulatedQuoteOptions): Uint8Array | Promise<Uint8Array>;
}

/** Where a container that was given a simulated enclave device finds the service of its node. */
export const QUOTING_SOCKET = { folder: "/run/cloister-simulated-sgx", file: "quoting.sock" } as const;

// One request and one answer a connection, each one line of JSON. As on hardware, where the quoting enclave takes a report that
// the processor made, the service takes the measurement from the platform's own part beside the replica (here: its parent
// process). It proves nothing: the platform is SIMULATED.
const HEX_32 = z.string().regex(/^[0-9a-f]{64}$/);

export const QuoteRequest = z.strictObject({
  reportData: z.string().regex(/^[0-9a-f]{128}$/),
  mrenclave: HEX_32,
  mrsigner: HEX_32,
  isvProdId: z.int().min(0).max(0xffff),
  isvSvn: z.int().min(0).max(0xffff),
  debug: z.boolean(),
});
export type QuoteRequest = z.infer<typeof QuoteRequest>;

export const QuoteAnswer = z.union([
  z.strictObject({ quote: z.base64().max(1 << 16) }),
  z.strictObject({ error: z.literal("REQUEST_INVALID") }),
]);
export type QuoteAnswer = z.infer<typeof QuoteAnswer>;

/** Longest line of a request. */
export const MAX_REQUEST_BYTES = 1024;
export const MAX_ANSWER_BYTES = 1 << 17;

const hex = (bytes: Uint8Array): string => asBuffer(bytes).toString("hex");

export function toRequest(options: SimulatedQuoteOptions): QuoteRequest {
  return {
    reportData: hex(options.reportData),
    mrenclave: hex(options.mrenclave),
    mrsigner: hex(options.mrsigner),
    isvProdId: options.isvProdId ?? 0,
    isvSvn: options.isvSvn ?? 0,
    debug: options.debug ?? false,
  };
}
