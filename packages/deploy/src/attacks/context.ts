import type { SimulatedPlatform } from "@cloister/attestation/simulated";
import type { BrokerEvent } from "@cloister/broker";
import { isCodedError } from "@cloister/encoding";
import { type EnclaveManifest, type Installation, ReplicaRefusal } from "@cloister/enclave";
import type { SealedModel } from "../chain/seal.ts";
import type { OwnedModel } from "../chain/model.ts";
import type { Owner, RequesterFiles } from "../chain/owner.ts";
import type { LaunchOverrides, ReplicaLauncher } from "../local/replica-launcher.ts";
import type { AttackResult } from "./attack.ts";

/** The running chain as an attacker on the host sees it, plus what the demonstration needs of the owner. */
export interface AttackContext {
  readonly launch: ReplicaLauncher;
  readonly installation: Installation;
  readonly manifest: EnclaveManifest;
  readonly platform: SimulatedPlatform;
  readonly owner: Owner;
  readonly model: OwnedModel;
  /** The sealed files as the host stores them. */
  readonly sealed: SealedModel;
  readonly brokerAddress: { readonly host: string; readonly port: number };
  readonly gatewayAddress: { readonly host: string; readonly port: number };
  readonly requester: RequesterFiles;
  readonly tls: "one-way" | "mutual";
  /** Empty folder on the host for prepared files. */
  readonly folder: string;
  /** Calls back for every event of the broker; returns the unsubscribe function. */
  readonly onBrokerEvent: (listener: (event: BrokerEvent) => void) => () => void;
}

/** One attack. `run` carries it out and returns the code of the refusal, or null when nothing refused it. */
export interface Attack {
  readonly name: string;
  readonly tried: string;
  readonly by: "broker" | "replica" | "requester";
  /** Code of the check that has to refuse it. Any other code would say nothing about that check. */
  readonly refusal: string;
  /** Set where the attack means something under that kind of TLS only. */
  readonly onlyFor?: "one-way" | "mutual";
  readonly run: (context: AttackContext) => Promise<string | null>;
}

export async function carryOut(attack: Attack, context: AttackContext): Promise<AttackResult> {
  const code = await attack.run(context);
  return { name: attack.name, tried: attack.tried, by: attack.by, code, refused: code === attack.refusal };
}

/**
 * Starts a replica with something wrong about it. Null when it became READY all the same. For a refusal by the broker the
 * code is the broker's: the replica itself is only told that it got nothing.
 */
export async function launchAndExpectRefusal(
  context: AttackContext,
  replicaId: string,
  overrides: LaunchOverrides,
): Promise<string | null> {
  const refusal = listenForRefusal(context);
  try {
    const replica = await context.launch(replicaId, overrides);
    await replica.stop();
    return null;
  } catch (error) {
    return refusal.code() ?? codeOf(error);
  } finally {
    refusal.stop();
  }
}

/** Remembers the code of the latest refusal of the broker. */
export function listenForRefusal({ onBrokerEvent }: AttackContext): {
  code: () => string | undefined;
  stop: () => void;
} {
  let code: string | undefined;
  const stop = onBrokerEvent((event) => {
    if (event.type === "refusal") ({ code } = event);
  });
  return { code: () => code, stop };
}

/** The code of a coded error. Anything else is a defect of the demonstration and is thrown on. */
export function codeOf(error: unknown): string {
  if (error instanceof ReplicaRefusal) return error.replicaCode;
  if (isCodedError(error)) return error.code;
  throw error;
}
