export { FileReleaseLog, openReleaseLog, type OpenLogOptions } from "./file-log.ts";
export { verifyReleaseLogFile, type VerifiedLog } from "./verify-file.ts";
