// `@cloister/attestation/qcnl`: which collateral service to ask: the configuration of Intel's library, and presets.
export { isProtected } from "../collateral/collateral-request.ts";
export { PRESETS, type Preset, type PresetName } from "./presets.ts";
export { parseQcnl, qcnlService, type QcnlService, type QcnlServiceOptions, type QcnlSettings } from "./qcnl.ts";
