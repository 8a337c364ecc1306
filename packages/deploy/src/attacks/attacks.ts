import { mkdir } from "node:fs/promises";
import type { Observe, StepResult } from "../chain/events.ts";
import type { AttackResult } from "./attack.ts";
import { CLIENT_ATTACKS } from "./clients.ts";
import { type Attack, type AttackContext, carryOut } from "./context.ts";
import { ENCLAVE_ATTACKS } from "./enclaves.ts";
import { EVIDENCE_ATTACKS } from "./evidence.ts";
import { SEALED_FILE_ATTACKS } from "./sealed-files.ts";

/** Every attack, in the order of the table. SECURITY.md names the promise behind each. */
const ATTACKS: readonly Attack[] = [...SEALED_FILE_ATTACKS, ...ENCLAVE_ATTACKS, ...EVIDENCE_ATTACKS, ...CLIENT_ATTACKS];

/** Carries out every attack that applies, one after the other: the broker's refusals are told apart by their time. */
export async function attacksStep(context: AttackContext, observe: Observe): Promise<StepResult<AttackResult[]>> {
  await mkdir(context.folder, { recursive: true });
  const results: AttackResult[] = [];
  for (const attack of ATTACKS.filter(({ onlyFor = context.tls }) => onlyFor === context.tls)) {
    observe({ type: "progress", text: attack.tried });
    const result = await carryOut(attack, context);
    observe({ type: "attack", result });
    results.push(result);
  }
  const refused = results.filter((result) => result.refused).length;
  return { result: results, facts: [`${refused} of ${results.length} refused`] };
}
