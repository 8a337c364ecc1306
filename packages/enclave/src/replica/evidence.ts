import { createPublicKey, type KeyObject } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { toHex } from "@cloister/encoding";
import type { EvidenceSource } from "@cloister/model-server";
import { encodeLogProof, type LogProof } from "@cloister/release-log";
import type { PlatformDriver } from "../platform/driver.ts";
import { publicKeyDigest } from "./public-key-digest.ts";

/** What fits into an evidence exchange beside the quote. */
const MAX_COLLATERAL_BYTES = 512 * 1024;

/** What a replica shows of itself: quotes of its platform, the host's collateral, and the proof that its keys' release is in the log. */
export class ReplicaEvidence implements EvidenceSource {
  readonly #driver: PlatformDriver;
  readonly #collateralFile: string | undefined;
  /** By serving key: connections of a key that was replaced may still be shaking hands. */
  readonly #proofs = new Map<string, Uint8Array>();

  constructor(driver: PlatformDriver, collateralFile: string | undefined) {
    this.#driver = driver;
    this.#collateralFile = collateralFile;
  }

  /** Shows this proof on connections under that serving key. The proof before it is kept, those before that are forgotten. */
  admit(servingKey: KeyObject, proof: LogProof): void {
    const [previous] = [...this.#proofs].slice(-1);
    this.#proofs.clear();
    if (previous !== undefined) this.#proofs.set(...previous);
    this.#proofs.set(publicKeyDigest(createPublicKey(servingKey)), encodeLogProof(proof));
  }

  quote(reportData: Uint8Array): Promise<Uint8Array> {
    return this.#driver.quote(reportData);
  }

  /** As the host has it at the moment. It can only make itself refused with it: requesters verify it. */
  async collateral(): Promise<Uint8Array | undefined> {
    if (this.#collateralFile === undefined) return undefined;
    try {
      const { size } = await stat(this.#collateralFile);
      return size > MAX_COLLATERAL_BYTES ? undefined : new Uint8Array(await readFile(this.#collateralFile));
    } catch {
      return undefined;
    }
  }

  releaseProof(publicKeySha256: Uint8Array): Uint8Array | undefined {
    return this.#proofs.get(toHex(publicKeySha256));
  }
}
