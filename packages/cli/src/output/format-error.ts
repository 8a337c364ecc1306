import { isCodedError } from "@cloister/encoding";

export interface ErrorReport {
  readonly code: string;
  readonly message: string;
}

/**
 * What a person or a program is told about an error: `code` and `what - why - what to do`. An error without a code is a
 * defect of this program: its own text stays out of reports (it could hold input), its stack goes to `--verbose` only.
 */
export function reportOf(error: unknown): ErrorReport {
  if (isCodedError(error)) return { code: error.code, message: error.message };
  if (isFileError(error)) {
    return {
      code: "FILE_UNUSABLE",
      message: `${error.path} cannot be used - the system says ${error.code} - check the path and its permissions`,
    };
  }
  return {
    code: "INTERNAL",
    message:
      "the command ended with an unexpected error - this is a defect - run it again with --verbose and report it",
  };
}

/** An error of the file system, which names the path it is about. */
function isFileError(error: unknown): error is Error & { readonly code: string; readonly path: string } {
  const isErrno = error instanceof Error && "code" in error && typeof error.code === "string";
  return isErrno && "path" in error && typeof error.path === "string";
}
