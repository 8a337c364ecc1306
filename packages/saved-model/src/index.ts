export { SavedModelError, type SavedModelErrorCode } from "./error.ts";
export type { ModelFiles } from "./model-files.ts";
