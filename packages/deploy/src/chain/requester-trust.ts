import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeCollateral } from "@cloister/attestation";
import type { SimulatedPlatform } from "@cloister/attestation/simulated";
import { encodePem } from "@cloister/encoding/pem";
import type { Policy } from "@cloister/policy";
import type { WorkFolders } from "./folders.ts";

/** Writes what a requester needs to attest replicas itself: the SIMULATED root, collateral, and the policy. Nothing is secret. */
export async function writeRequesterTrust(
  folders: WorkFolders,
  platform: SimulatedPlatform,
  policy: Policy,
): Promise<void> {
  const path = (name: string): string => join(folders.requester, name);
  await writeFile(path("trust-anchor.pem"), encodePem("CERTIFICATE", platform.trustAnchor.certificate));
  await writeFile(path("collateral.json"), encodeCollateral(platform.collateral()));
  await writeFile(path("policy.json"), `${JSON.stringify(policy, null, 2)}\n`);
}
