import { toHex } from "@cloister/encoding";

/** The `traceparent` of a new trace that is to be recorded, and the trace's id to look it up by. (W3C Trace Context, section 3.2) */
export function newTraceParent(): { readonly traceParent: string; readonly traceId: string } {
  const random = (bytes: number): string => toHex(globalThis.crypto.getRandomValues(new Uint8Array(bytes)));
  const traceId = random(16);
  return { traceParent: `00-${traceId}-${random(8)}-01`, traceId };
}
