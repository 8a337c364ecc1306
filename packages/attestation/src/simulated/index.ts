// `@cloister/attestation/simulated`: a TEE that proves nothing, for tests, demonstrations and development. Its trust anchor is
// made per installation and is accepted only where a caller names it.
export type { PckCa } from "./authority.ts";
export type { SimulatedCollateralOptions } from "./collateral.ts";
export {
  createSimulatedPlatform,
  SIMULATED_FMSPC,
  type SimulatedPlatform,
  type SimulatedPlatformOptions,
  type SimulatedQuoteOptions,
  type SimulatedTdQuoteOptions,
} from "./platform.ts";
export type { SimulatedTee } from "./quoting-enclave.ts";
export type { SimulatedQeLevel, SimulatedTcbLevel } from "./tcb-levels.ts";
