import { appraiseAsync } from "@cloister/attestation/webcrypto";
import { equalBytes } from "@cloister/encoding";
import { generateSessionKey, SealedSession } from "@cloister/encoding/sealed-records";
import {
  decodeSessionResponse,
  encodeSessionRequest,
  SESSION_PATH,
  type SessionBinding,
  sessionReportData,
} from "@cloister/encoding/sealed-session";
import { judge } from "../attested/judge.ts";
import type { AttestationOptions, VerifiedReplica } from "../attested/options.ts";
import { refused } from "../attested/refusals.ts";
import { callFailed } from "../errors.ts";
import type { SealedOptions } from "./options.ts";
import { type PostLimits, postBytes } from "./post.ts";

const NONCE_BYTES = 32;
const SESSION_STEPS = [
  "the evidence answers this session's challenge",
  "the quote's report data is the digest of the challenge, both keys of the session and the serving key",
];

/** A session with an enclave that passed every check: only it can open what is sealed here. */
export interface JudgedSession {
  readonly session: SealedSession;
  readonly replica: VerifiedReplica;
}

/**
 * Makes a key, has the replica quote it together with one of its own, and judges the quote. Throws `ClientError` with the code of the
 * first check that fails; nothing but the challenge was sent then.
 */
export async function openSession(options: SealedOptions, limits: PostLimits): Promise<JudgedSession> {
  const startedAt = performance.now();
  const own = await generateSessionKey();
  const nonce = globalThis.crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const request = encodeSessionRequest({ nonce, clientKey: own.publicKey });
  const { status, body } = await postBytes(options, SESSION_PATH, request, limits);
  if (status === 429 || status >= 500) throw callFailed("UNAVAILABLE", `HTTP status ${status}`);
  if (status !== 200) throw refused("ATTESTATION_UNSUPPORTED");
  const evidence = decodeSessionResponse(body);
  if (evidence === undefined) throw refused("EVIDENCE_MISSING");
  if (!equalBytes(evidence.nonce, nonce)) throw refused("EVIDENCE_REPLAYED");
  const { sessionKey, publicKeySha256 } = evidence;
  const binding: SessionBinding = { nonce, clientKey: own.publicKey, sessionKey, publicKeySha256 };
  const bound = { reportData: sessionReportData(binding), publicKeySha256, steps: SESSION_STEPS, startedAt };
  const { attestation } = options;
  const replica = await judge(evidence, bound, attestation, (quote, collateral, at) =>
    appraise(attestation, quote, collateral, at),
  );
  return { session: await SealedSession.create(own.privateKey, sessionKey, binding), replica };
}

function appraise(
  { anchors }: AttestationOptions,
  quote: Uint8Array,
  collateral: VerifiedReplica["collateral"],
  at: Date,
): ReturnType<typeof appraiseAsync> {
  return appraiseAsync({ quote }, collateral, anchors, at);
}
