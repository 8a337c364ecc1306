import { execFile } from "node:child_process";
import { EnclaveError } from "../errors.ts";

const TIMEOUT_MS = 120_000;
const SIGNATURE_BYTES = 384;
const MAX_OUTPUT_BYTES = 4096;

/**
 * Has a program sign, for example a PKCS#11 tool or the command line of a key service. It gets the bytes on standard input and
 * prints the PKCS#1 v1.5 signature with SHA-256: 384 bytes, or hex or base64 of them. It gets no arguments: a
 * script adds those of a tool. Throws
 * `SIGNING_COMMAND_FAILED`.
 */
export async function signWithCommand(program: string, bytes: Uint8Array): Promise<Uint8Array> {
  const output = await new Promise<Buffer>((resolve, reject) => {
    const options = { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES, encoding: "buffer" as const };
    const child = execFile(program, [], options, (error, stdout) => (error === null ? resolve(stdout) : reject(error)));
    // A program that does not read its input says so by how it ends.
    child.stdin?.on("error", () => undefined).end(bytes);
  }).catch((cause: unknown) => {
    throw failed("it could not be run, or did not end with 0", cause);
  });
  const signature = decode(output);
  if (signature === undefined) throw failed("it printed no signature of 384 bytes");
  return signature;
}

function decode(output: Buffer): Uint8Array | undefined {
  if (output.length === SIGNATURE_BYTES) return new Uint8Array(output);
  const text = output.toString("latin1").replaceAll(/\s/g, "");
  const bytes = /^[0-9a-fA-F]+$/.test(text) ? Buffer.from(text, "hex") : Buffer.from(text, "base64");
  return bytes.length === SIGNATURE_BYTES ? new Uint8Array(bytes) : undefined;
}

function failed(why: string, cause?: unknown): EnclaveError {
  return new EnclaveError(
    "SIGNING_COMMAND_FAILED",
    {
      what: "the signing command made no signature",
      why,
      remedy: "run it by hand: it takes bytes on standard input and prints an RSA-3072 signature with SHA-256",
    },
    { cause },
  );
}
