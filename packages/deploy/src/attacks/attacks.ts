import type { Attack } from "./context.ts";
import { CLIENT_ATTACKS } from "./clients.ts";
import { ENCLAVE_ATTACKS } from "./enclaves.ts";
import { EVIDENCE_ATTACKS } from "./evidence.ts";
import { SEALED_FILE_ATTACKS } from "./sealed-files.ts";

/** Every attack that `--attacks` carries out, in the order of the table. SECURITY.md names the promise behind each. */
export const ATTACKS: readonly Attack[] = [
  ...SEALED_FILE_ATTACKS,
  ...ENCLAVE_ATTACKS,
  ...EVIDENCE_ATTACKS,
  ...CLIENT_ATTACKS,
];
