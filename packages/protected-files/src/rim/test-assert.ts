import assert from "node:assert/strict";
import { type ProtectedFileCode, ProtectedFileError } from "../errors.ts";

/** Asserts that `act` throws this package's error with this code. */
export function throwsCode(act: () => unknown, code: ProtectedFileCode, subject?: string): void {
  assert.throws(act, (error) => hasCode(error, code, subject));
}

/** Asserts that the promise rejects with this package's error with this code. */
export async function rejectsCode(act: Promise<unknown>, code: ProtectedFileCode, subject?: string): Promise<void> {
  await assert.rejects(act, (error) => hasCode(error, code, subject));
}

function hasCode(error: unknown, code: ProtectedFileCode, subject: string | undefined): boolean {
  assert.ok(error instanceof ProtectedFileError, `not a ProtectedFileError: ${String(error)}`);
  assert.equal(error.code, code);
  if (subject !== undefined) assert.equal(error.subject, subject);
  return true;
}
