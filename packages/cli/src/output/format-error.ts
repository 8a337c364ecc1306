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
  return {
    code: "INTERNAL",
    message:
      "the command ended with an unexpected error - this is a defect - run it again with --verbose and report it",
  };
}
