import { X509Certificate } from "node:crypto";
import { access, readFile } from "node:fs/promises";
import { CodedError } from "@cloister/encoding";
import { parse } from "yaml";

const MAX_ALIASES = 10;

export type InputErrorCode =
  "FILE_UNREADABLE" | "FILE_MALFORMED" | "OPTION_MISSING" | "OPTIONS_CONFLICT" | "OPTION_REFUSED";

/** An input of a command that the command itself reads. */
export class InputError extends CodedError<InputErrorCode> {
  /** Whether other options are needed, not another file. */
  get isUsage(): boolean {
    return this.code.startsWith("OPTION");
  }
}

/** The value in a JSON or YAML text. JSON is YAML; a duplicate key is an error in both. */
export function parseDocument(text: string): unknown {
  return parse(text, { maxAliasCount: MAX_ALIASES, uniqueKeys: true });
}

/** Reads a JSON or YAML file. Throws FILE_UNREADABLE or FILE_MALFORMED, which never quote it. */
export async function readDocument(path: string): Promise<unknown> {
  const text = await readText(path);
  try {
    return parseDocument(text);
  } catch (cause) {
    throw new InputError(
      "FILE_MALFORMED",
      { what: `${path} was not read`, why: "it is neither JSON nor YAML", remedy: "correct the file" },
      { cause },
    );
  }
}

/** Reads a text file. Throws FILE_UNREADABLE. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): InputError {
  return new InputError(
    "FILE_UNREADABLE",
    { what: `${path} was not read`, why: "the file cannot be opened", remedy: "check the path" },
    { cause },
  );
}

/** Reads a file that starts with a certificate in PEM. Throws FILE_UNREADABLE or FILE_MALFORMED. */
export async function readCertificate(path: string): Promise<{ pem: string; der: Uint8Array }> {
  const pem = await readText(path);
  try {
    return { pem, der: new Uint8Array(new X509Certificate(pem).raw) };
  } catch (cause) {
    throw new InputError(
      "FILE_MALFORMED",
      { what: `${path} was not read`, why: "it holds no PEM certificate", remedy: "name the certificate's file" },
      { cause },
    );
  }
}

/** Whether a file or folder can be read at all. Throws FILE_UNREADABLE. */
export async function needReadable(path: string): Promise<void> {
  await access(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
}

/** The value of an option that a command cannot do without and that may also come from the configuration. */
export function need<T>(value: T | undefined, option: string): T {
  if (value !== undefined) return value;
  throw new InputError("OPTION_MISSING", {
    what: "the command did not start",
    why: `${option} is given neither as a flag nor in cloister.yaml`,
    remedy: "see --help",
  });
}
