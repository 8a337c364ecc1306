// What running a program takes, without what makes one: an engine that restores programs need not load the lowering.

export { SavedModelError, type SavedModelErrorCode } from "./error.ts";
export type { HostValue } from "./host/call.ts";
export { HostRefusal } from "./host/refusal.ts";
export { ModelState } from "./host/state.ts";
export {
  borderName,
  type ControlStep,
  type HostStep,
  isShortFloat,
  type OnnxStep,
  operandName,
  type Program,
  type Step,
} from "./program-steps.ts";
