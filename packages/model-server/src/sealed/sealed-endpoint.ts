import {
  decodeSealedRequest,
  encodeSealedAnswer,
  type SealedAnswer,
  type SealedRequest,
} from "@cloister/encoding/sealed-messages";
import { generateSessionKey, readRecordHeader, SealedSession } from "@cloister/encoding/sealed-records";
import {
  decodeSessionRequest,
  encodeSessionResponse,
  MAX_SESSION_REQUEST_BYTES,
  SEALED_PATH,
  SESSION_PATH,
  sessionReportData,
} from "@cloister/encoding/sealed-session";
import { callError } from "../errors.ts";
import type { EvidenceSource } from "../evidence/evidence.ts";
import { SessionTable } from "./session-table.ts";

const MAX_SESSIONS = 4096;
/** A new session costs a quote; an old one holds a verdict on collateral of its time. */
const SESSION_LIFETIME_MS = 10 * 60_000;

/** Answers what is inside a record. Never rejects. */
export type SealedDispatch = (request: SealedRequest, signal: AbortSignal) => Promise<SealedAnswer>;

export interface EndpointAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

/**
 * The replica's side of sealed sessions (`@cloister/encoding/sealed-session`): HTTP requests in, HTTP answers out. What is outside of
 * the records anybody between client and enclave can read and change, so it says nothing but that a session is unknown.
 */
export class SealedEndpoint {
  readonly #sessions = new SessionTable(MAX_SESSIONS, SESSION_LIFETIME_MS);
  readonly #source: EvidenceSource;
  readonly #dispatch: SealedDispatch;

  constructor(source: EvidenceSource, dispatch: SealedDispatch) {
    this.#source = source;
    this.#dispatch = dispatch;
  }

  /** Whether a POST to that path is for this endpoint. */
  handles(path: string): boolean {
    return path === SESSION_PATH || path === SEALED_PATH;
  }

  /** `publicKeySha256`: of the serving key of the connection; zeros in plaintext. Throws INVALID_ARGUMENT and what quotes throw. */
  async answer(
    path: string,
    body: Uint8Array,
    publicKeySha256: Uint8Array,
    signal: AbortSignal,
  ): Promise<EndpointAnswer> {
    return path === SESSION_PATH ? this.#open(body, publicKeySha256) : this.#answerRecord(body, signal);
  }

  async #open(body: Uint8Array, publicKeySha256: Uint8Array): Promise<EndpointAnswer> {
    const request = body.length <= MAX_SESSION_REQUEST_BYTES ? decodeSessionRequest(body) : undefined;
    if (request === undefined) throw callError("INVALID_ARGUMENT", "The session request is malformed.");
    const own = await generateSessionKey();
    const binding = { ...request, sessionKey: own.publicKey, publicKeySha256 };
    const session = await SealedSession.create(own.privateKey, request.clientKey, binding).catch((cause: unknown) => {
      throw callError("INVALID_ARGUMENT", "The client's key is no point on P-256.", { cause });
    });
    const [quote, collateral = new Uint8Array()] = await Promise.all([
      this.#source.quote(sessionReportData(binding)),
      this.#source.collateral?.(),
    ]);
    const releaseProof = this.#source.releaseProof?.(publicKeySha256) ?? new Uint8Array();
    this.#sessions.add(session);
    return binary(encodeSessionResponse({ ...binding, quote, collateral, releaseProof }));
  }

  async #answerRecord(record: Uint8Array, signal: AbortSignal): Promise<EndpointAnswer> {
    const header = readRecordHeader(record);
    const open = header && this.#sessions.find(header.id);
    if (header === undefined || open === undefined) return unknownSession();
    const { session, window } = open;
    const plain = window.isFresh(header.counter) ? await session.open("request", header.counter, record) : undefined;
    const request = plain && decodeSealedRequest(plain);
    // Two copies of a record may be opened at a time: the second one ends here.
    if (request === undefined || !window.tryTake(header.counter))
      throw callError("INVALID_ARGUMENT", "The record does not belong to its session, or came before.");
    const answer = encodeSealedAnswer(await this.#dispatch(request, signal));
    return binary(await session.seal("response", header.counter, answer));
  }
}

function binary(body: Uint8Array): EndpointAnswer {
  return { status: 200, contentType: "application/octet-stream", body };
}

/** The client opens another one: this replica was started anew, forgot it, or is not the one that it was opened with. */
function unknownSession(): EndpointAnswer {
  return { status: 409, contentType: "application/json", body: '{ "error": "The session is not known here." }' };
}
