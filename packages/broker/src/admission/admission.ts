import type { VerifiedPeer } from "@cloister/attestation/ra-tls";
import { type Allowed, policyClaimsSha256, toPolicyClaims } from "@cloister/policy";
import { type LogEntry, type LogProof, type ReleaseLog, ReleaseLogError } from "@cloister/release-log";
import {
  type ActivePolicy,
  type AppraisalContext,
  appraisePeer,
  decide,
  type Presentation,
  type Presented,
  verifiersFor,
} from "./appraisal.ts";
import type { BrokerOptions, KeySource, KeyVersion, PublishedBundle, ServingCa } from "../options.ts";
import { asRefusal, joined, orRefuse, Refusal } from "./refusal.ts";
import type { ReplayGuard } from "./replay-guard.ts";
import { encodeSecret } from "../wire/secret-encoding.ts";

/** Name of the workload's own key. */
const KEY_NAME = "key";

export interface AdmissionContext extends AppraisalContext, Pick<BrokerOptions, "keys" | "bundles"> {
  readonly servingCa: ServingCa | undefined;
  readonly log: ReleaseLog;
  readonly guard: ReplayGuard;
}

/** A release that is in the log and may go out. */
export interface Admitted {
  readonly admitted: true;
  readonly peer: VerifiedPeer;
  readonly decision: Allowed;
  /** The first one is the newest version of the workload's key. Whoever sends them wipes them. */
  readonly secrets: readonly [ReleasedSecret, ...ReleasedSecret[]];
  readonly bundle: PublishedBundle | undefined;
  readonly proof: LogProof;
}

export interface Refused {
  readonly admitted: false;
  readonly refusal: Refusal;
  readonly peer: VerifiedPeer | undefined;
  readonly peerKeySha256: string | null;
  /** Undefined where the log could not take the entry. */
  readonly proof: LogProof | undefined;
}

/** A secret as it goes over the wire. */
interface ReleasedSecret {
  /** The name that the policy gives it; "key" for the workload's own. */
  readonly name: string;
  /** With its version, where the source has versions. */
  readonly keyId: string;
  readonly bytes: Uint8Array;
}

/** What is known at the point of refusal. */
interface Progress {
  peer?: VerifiedPeer;
  decision?: Allowed;
  keyId?: string;
}

/**
 * Appraises the certificate of a completed handshake, applies the policy, writes the decision to the log and only then
 * hands out the secret. Never throws; every refusal is logged too.
 */
export async function admit(presentation: Presentation, context: AdmissionContext): Promise<Admitted | Refused> {
  const progress: Progress = {};
  try {
    return await release(presentation, context, progress);
  } catch (error) {
    return refuse(asRefusal(error, "INTERNAL_ERROR"), context, progress);
  }
}

async function release(presentation: Presentation, context: AdmissionContext, progress: Progress): Promise<Admitted> {
  const { presented, active, decision } = await judge(presentation, context, progress);
  const { peer } = presented;
  progress.decision = decision;
  const guarded = !decision.conditions.certificate.allowRenewal;
  if (guarded && !context.guard.reserve(peer.publicKeySha256)) throw new Refusal(["CERTIFICATE_REPLAYED"]);
  let secrets: Admitted["secrets"] | undefined;
  try {
    const bundle = await readBundle(decision, context);
    secrets = await readSecrets(decision, context, presentation.native !== undefined);
    progress.keyId = secrets.map(({ keyId }) => keyId).join(" ");
    const entry = logEntry("released", [], active, progress, context.clock());
    const proof = await appendRelease(entry, guarded, context);
    context.guard.add(peer.publicKeySha256);
    recheck(active, decision, presented, context);
    return { admitted: true, peer, decision, secrets, bundle, proof };
  } catch (error) {
    for (const { bytes } of secrets ?? []) bytes.fill(0);
    if (guarded) context.guard.cancel(peer.publicKeySha256);
    throw error;
  }
}

interface Judged {
  readonly presented: Presented;
  readonly active: ActivePolicy;
  readonly decision: Allowed;
}

/** Verifies in each way that the policy names until its claims are allowed. Throws the reasons of all. */
async function judge(presentation: Presentation, context: AdmissionContext, progress: Progress): Promise<Judged> {
  const refusals: Refusal[] = [];
  for (const verifier of verifiersFor(context.currentPolicy().policy)) {
    try {
      const presented = await appraisePeer(presentation, verifier, context);
      progress.peer = presented.peer;
      const active = context.currentPolicy();
      return { presented, active, decision: decide(active.policy, presented, context.clock()) };
    } catch (error) {
      refusals.push(asRefusal(error, "INTERNAL_ERROR"));
    }
  }
  throw joined(refusals);
}

/** Other brokers may write the same log: one of them may have served the key, or replaced the policy, a moment ago. */
async function appendRelease(entry: LogEntry, guarded: boolean, { log }: AdmissionContext): Promise<LogProof> {
  try {
    return await log.append(entry, { unlessReleased: guarded });
  } catch (error) {
    const code = error instanceof ReleaseLogError ? error.code : undefined;
    if (code === "LOG_ALREADY_RELEASED") throw new Refusal(["CERTIFICATE_REPLAYED"], [], error);
    if (code === "LOG_POLICY_SUPERSEDED") throw new Refusal(["POLICY_CHANGED"], [], error);
    throw asRefusal(error, "LOG_UNAVAILABLE");
  }
}

/**
 * Gramine's protocol carries one secret, the newest version of the workload's key in its encoding. Ours carries every version
 * that is valid, so that a rotation can overlap, and the additional keys.
 */
async function readSecrets(
  { secrets: rule }: Allowed,
  { keys }: AdmissionContext,
  isNative: boolean,
): Promise<Admitted["secrets"]> {
  return orRefuse("KEY_UNAVAILABLE", async () => {
    const [newest, ...older] = await versionsOf(keys, rule.keyId);
    if (newest === undefined) throw new Refusal(["KEY_UNAVAILABLE"]);
    if (!isNative) {
      for (const { secret } of older) secret.wipe();
      return [{ name: KEY_NAME, keyId: newest.keyId, bytes: encodeSecret(newest.secret, rule.encoding) }];
    }
    const additional = await Promise.all(
      rule.additional.map(async ({ name, keyId }) => namedSecrets(name, (await versionsOf(keys, keyId)).slice(0, 1))),
    );
    const [first, ...others] = [...namedSecrets(KEY_NAME, [newest, ...older]), ...additional.flat()];
    if (first === undefined) throw new Refusal(["KEY_UNAVAILABLE"]);
    return [first, ...others];
  });
}

async function versionsOf(keys: KeySource, keyId: string): Promise<readonly KeyVersion[]> {
  return (await keys.versions?.(keyId)) ?? [{ keyId, secret: await keys.secret(keyId) }];
}

const namedSecrets = (name: string, versions: readonly KeyVersion[]): ReleasedSecret[] =>
  versions.map(({ keyId, secret }) => ({ name, keyId, bytes: secret.reveal().slice() }));

async function readBundle(
  decision: Allowed,
  { bundles, servingCa }: AdmissionContext,
): Promise<PublishedBundle | undefined> {
  const { model } = decision.secrets;
  if (model === null) return undefined;
  if (servingCa === undefined) throw new Refusal(["SERVING_CA_UNAVAILABLE"]);
  if (bundles === undefined) throw new Refusal(["BUNDLE_UNAVAILABLE"]);
  return orRefuse("BUNDLE_UNAVAILABLE", () => bundles.bundle(model));
}

/** A policy that was replaced while the entry was being written has the last word. */
function recheck(before: ActivePolicy, decision: Allowed, presented: Presented, context: AdmissionContext): void {
  const now = context.currentPolicy();
  if (now.sha256 === before.sha256) return;
  const again = decide(now.policy, presented, context.clock());
  const isSame = JSON.stringify(again.secrets) === JSON.stringify(decision.secrets);
  if (!isSame) throw new Refusal(["POLICY_CHANGED"]);
}

async function refuse(refusal: Refusal, context: AdmissionContext, progress: Progress): Promise<Refused> {
  const { peer } = progress;
  const entry = logEntry("refused", refusal.codes, context.currentPolicy(), progress, context.clock());
  const peerKeySha256 = peer?.publicKeySha256 ?? null;
  try {
    return { admitted: false, refusal, peer, peerKeySha256, proof: await context.log.append(entry) };
  } catch {
    return { admitted: false, refusal, peer, peerKeySha256, proof: undefined };
  }
}

function logEntry(
  decision: LogEntry["decision"],
  codes: readonly string[],
  active: ActivePolicy,
  { peer, decision: allowed, keyId }: Progress,
  time: Date,
): LogEntry {
  const claims = peer === undefined ? null : toPolicyClaims(peer.claims);
  return {
    time: time.toISOString(),
    decision,
    codes,
    workload: allowed?.workload ?? null,
    rule: allowed?.rule ?? null,
    keyId: keyId ?? allowed?.secrets.keyId ?? null,
    claims,
    claimsSha256: claims === null ? null : policyClaimsSha256(claims),
    policySha256: active.sha256,
    peerKeySha256: peer?.publicKeySha256 ?? null,
    simulated: claims?.simulated ?? false,
  };
}
