import { utf8 } from "@cloister/encoding";
import { GRPC_PREFIX_LENGTH, GRPC_STATUS } from "@cloister/encoding/grpc";
import type { SealedAnswer, SealedRequest } from "@cloister/encoding/sealed-messages";
import { answerRest } from "../rest/rest-handler.ts";
import { statusOf, type UnaryHandler } from "../rpc/unary-call.ts";
import type { ServingContext } from "../serving/context.ts";
import type { SealedDispatch } from "./sealed-endpoint.ts";

/** The same calls as outside of sessions: gRPC's methods by their path, and REST. */
export function sealedDispatch(
  context: ServingContext,
  methods: ReadonlyMap<string, UnaryHandler>,
  replicaId: string,
): SealedDispatch {
  return (request, signal) =>
    request.kind === "grpc" ? callMethod(methods, replicaId, request, signal) : callRest(context, request, signal);
}

async function callMethod(
  methods: ReadonlyMap<string, UnaryHandler>,
  replicaId: string,
  { path, body }: SealedRequest,
  signal: AbortSignal,
): Promise<SealedAnswer> {
  const handler = methods.get(path);
  if (handler === undefined) return failed("UNIMPLEMENTED", "unknown method");
  try {
    const message = await handler(body, signal);
    return { status: GRPC_STATUS.OK, text: replicaId, body: message.subarray(GRPC_PREFIX_LENGTH) };
  } catch (error) {
    const { code, text } = statusOf(error);
    return failed(code, text);
  }
}

async function callRest(
  context: ServingContext,
  { kind, path, body }: SealedRequest,
  signal: AbortSignal,
): Promise<SealedAnswer> {
  const answer = await answerRest(context, { method: kind, path, body, signal });
  return { status: answer.status, text: answer.contentType, body: utf8(answer.body) };
}

const MAX_STATUS_CHARACTERS = 1024;

function failed(status: keyof typeof GRPC_STATUS, text: string): SealedAnswer {
  return { status: GRPC_STATUS[status], text: text.slice(0, MAX_STATUS_CHARACTERS), body: new Uint8Array() };
}
