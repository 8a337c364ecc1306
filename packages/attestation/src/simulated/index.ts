// `@cloister/attestation/simulated`: a TEE that proves nothing, for tests, demonstrations and development. Its trust anchor is
// made per installation and is accepted only where a caller names it.
export type { PckCa } from "./authority.ts";
export type { SimulatedCollateralOptions } from "./collateral.ts";
export { createSimulatedPlatform, restoreSimulatedPlatform, SIMULATED_FMSPC } from "./platform.ts";
export type {
  SimulatedPlatform,
  SimulatedPlatformOptions,
  SimulatedQuoteOptions,
  SimulatedTdQuoteOptions,
} from "./platform-options.ts";
export type { SimulatedTee } from "./quoting-enclave.ts";
export type { SimulatedQeLevel, SimulatedTcbLevel } from "./tcb-levels.ts";
