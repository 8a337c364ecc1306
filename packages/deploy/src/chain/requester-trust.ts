import type { KeyObject } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeCollateral } from "@cloister/attestation";
import type { SimulatedPlatform } from "@cloister/attestation/simulated";
import { encodePem } from "@cloister/encoding/pem";
import type { Policy } from "@cloister/policy";
import type { WorkFolders } from "./folders.ts";

/**
 * Writes what a requester needs to attest replicas itself: the SIMULATED root, collateral, the policy, and the key of the release log;
 * and the collateral that the host's replicas hand out. Nothing is secret. Returns the path of the latter.
 */
export async function writeRequesterTrust(
  folders: WorkFolders,
  platform: SimulatedPlatform,
  policy: Policy,
  logKey: KeyObject,
): Promise<string> {
  const path = (name: string): string => join(folders.requester, name);
  await writeFile(path("trust-anchor.pem"), encodePem("CERTIFICATE", platform.trustAnchor.certificate));
  await writeFile(path("collateral.json"), encodeCollateral(platform.collateral()));
  await writeFile(path("log-key.pem"), logKey.export({ type: "spki", format: "pem" }));
  await writeFile(path("policy.json"), `${JSON.stringify(policy, null, 2)}\n`);
  const handedOut = join(folders.host, "collateral.json");
  await writeFile(handedOut, encodeCollateral(platform.collateral()));
  return handedOut;
}
