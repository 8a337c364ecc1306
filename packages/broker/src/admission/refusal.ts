import { AttestationError, type AttestationErrorCode } from "@cloister/attestation";
import type { Denial, DenialCode } from "@cloister/policy";

/** Reasons of the broker itself, beside those of the verifier and of the policy. */
export type OwnRefusalCode =
  /** The client showed no certificate in the handshake. */
  | "CERTIFICATE_MISSING"
  /** The certificate says it is older than the workload allows. */
  | "CERTIFICATE_TOO_OLD"
  /** The certificate's key was served before, and the workload does not allow that. */
  | "CERTIFICATE_REPLAYED"
  /** The evidence does not hold the nonce of this connection: it was made for another one, or before. */
  | "CHANNEL_BINDING_MISMATCH"
  /** The certificate request is for another key than the evidence. */
  | "CSR_KEY_MISMATCH"
  /** The collateral for this platform could not be had. */
  | "COLLATERAL_UNAVAILABLE"
  /** The key that the policy names is not there or does not have the form it names. */
  | "KEY_UNAVAILABLE"
  /** No bundle is published for the model that the policy names. */
  | "BUNDLE_UNAVAILABLE"
  /** The policy wants a serving certificate issued, and the broker has no CA for that. */
  | "SERVING_CA_UNAVAILABLE"
  /** Too much waits already. */
  | "BROKER_BUSY"
  /** The release could not be logged, so it was not made. */
  | "LOG_UNAVAILABLE"
  /** The policy changed while the release was being written, and the new one gives something else. */
  | "POLICY_CHANGED"
  | "INTERNAL_ERROR";

export type RefusalCode = OwnRefusalCode | AttestationErrorCode | DenialCode;

/** Why an enclave gets nothing. Thrown inside an admission only; a value everywhere else. */
export class Refusal extends Error {
  readonly codes: readonly RefusalCode[];
  readonly denials: readonly Denial[];

  constructor(codes: readonly RefusalCode[], denials: readonly Denial[] = [], cause?: unknown) {
    super(`refused: ${codes.join(", ")}`, { cause });
    this.name = "Refusal";
    this.codes = codes;
    this.denials = denials;
  }
}

/** Runs a step and turns what it throws into a refusal with that code. A refusal passes as it is. */
export async function orRefuse<T>(code: OwnRefusalCode, step: () => T | Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw asRefusal(error, code);
  }
}

/** What was thrown, as a refusal: the verifier keeps its own code. */
export function asRefusal(error: unknown, code: OwnRefusalCode): Refusal {
  if (error instanceof Refusal) return error;
  return error instanceof AttestationError ? new Refusal([error.code], [], error) : new Refusal([code], [], error);
}

/** Several reasons as one, each code once. At least one has to be given. */
export function joined(refusals: readonly Refusal[]): Refusal {
  const [first, ...others] = refusals;
  if (first !== undefined && others.length === 0) return first;
  const codes = new Set(refusals.flatMap((refusal) => refusal.codes));
  return new Refusal(
    [...codes],
    refusals.flatMap(({ denials }) => denials),
    first,
  );
}

/** The policy's denials, with each code once and the deciding one first. */
export function denied(denials: readonly Denial[]): Refusal {
  return new Refusal([...new Set(denials.map((denial) => denial.code))], denials);
}
