import {
  decodeSealedAnswer,
  encodeSealedRequest,
  type SealedAnswer,
  type SealedRequest,
} from "@cloister/encoding/sealed-messages";
import { MAX_RECORDS } from "@cloister/encoding/sealed-records";
import { SEALED_PATH } from "@cloister/encoding/sealed-session";
import { callFailed, ClientError } from "../errors.ts";
import { type JudgedSession, openSession } from "./open-session.ts";
import type { SealedOptions } from "./options.ts";
import { type PostLimits, postBytes } from "./post.ts";

const DEFAULT_MAX_SESSION_AGE_MS = 5 * 60_000;
/** The replica does not know the session: it was started anew, or a gateway chose another replica. */
const UNKNOWN_SESSION = 409;

interface OpenSession extends JudgedSession {
  readonly expiresAt: number;
  nextCounter: number;
}

/** Requests and answers in sealed sessions, which are opened when they are needed and replaced when they are old or lost. */
export class SealedTransport {
  readonly #options: SealedOptions;
  #current: Promise<OpenSession> | undefined;
  #isClosed = false;

  constructor(options: SealedOptions) {
    this.#options = options;
  }

  /** Sends one request once. Throws `ClientError`; UNAVAILABLE is worth another try, which opens another session. */
  async exchange(request: SealedRequest, limits: PostLimits): Promise<SealedAnswer> {
    if (this.#isClosed) throw callFailed("CANCELLED", "the channel is closed");
    const open = await this.#session(limits);
    const counter = open.nextCounter++;
    const record = await open.session.seal("request", counter, encodeSealedRequest(request));
    const { status, body } = await postBytes(this.#options, SEALED_PATH, record, limits);
    if (status === UNKNOWN_SESSION) {
      this.#forget(open);
      throw callFailed("UNAVAILABLE", "the session is not known to the replica that answered");
    }
    if (status !== 200) throw callFailed("UNAVAILABLE", `HTTP status ${status}`);
    const plain = await open.session.open("response", counter, body);
    const answer = plain && decodeSealedAnswer(plain);
    if (answer !== undefined) return answer;
    this.#forget(open);
    throw notSealed();
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#current = undefined;
    return Promise.resolve();
  }

  async #session(limits: PostLimits): Promise<OpenSession> {
    const current = await this.#current?.catch(() => undefined);
    if (current !== undefined && current.expiresAt > performance.now() && current.nextCounter < MAX_RECORDS)
      return current;
    const opening = this.#open(limits);
    this.#current = opening;
    try {
      return await opening;
    } catch (error) {
      if (this.#current === opening) this.#current = undefined;
      throw error;
    }
  }

  async #open(limits: PostLimits): Promise<OpenSession> {
    const { attestation, maxSessionAgeMs = DEFAULT_MAX_SESSION_AGE_MS } = this.#options;
    const expiresAt = performance.now() + maxSessionAgeMs;
    try {
      const judged = await openSession(this.#options, limits);
      attestation.onVerified?.(judged.replica);
      return { ...judged, expiresAt, nextCounter: 0 };
    } catch (error) {
      if (error instanceof ClientError) attestation.onRefused?.(error);
      throw error;
    }
  }

  #forget(open: OpenSession): void {
    void this.#current?.then(
      (current) => {
        if (current === open) this.#current = undefined;
      },
      () => undefined,
    );
  }
}

function notSealed(): ClientError {
  return new ClientError("ANSWER_NOT_SEALED", {
    what: "an answer was not used",
    why: "the enclave that the session was opened with did not seal it for this request",
    remedy: "somebody between you and the enclave changes answers; ask the operator",
  });
}
