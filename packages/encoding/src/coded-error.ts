/** What an error tells a person: what happened, why, and what to do about it. */
export interface Explanation {
  readonly what: string;
  readonly why: string;
  readonly remedy: string;
}

/**
 * Base of each package's one error class. `code` is an UPPER_SNAKE word of that package's closed union; tests and programs
 * match on it. The message is `what - why - remedy`. It never holds input bytes or secrets; a lower error goes to `cause`.
 */
export abstract class CodedError<Code extends string = string> extends Error {
  readonly code: Code;
  readonly explanation: Explanation;

  constructor(code: Code, explanation: Explanation, options?: { cause?: unknown }) {
    super(`${explanation.what} - ${explanation.why} - ${explanation.remedy}`, options);
    this.name = new.target.name;
    this.code = code;
    this.explanation = explanation;
  }
}

/** Whether something thrown is one of our coded errors, of any package. */
export function isCodedError(error: unknown): error is CodedError {
  return error instanceof CodedError;
}
