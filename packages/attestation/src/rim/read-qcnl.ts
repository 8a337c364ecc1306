import { readFile } from "node:fs/promises";
import { refusal } from "../errors.ts";
import { parseQcnl, type QcnlSettings } from "../qcnl/qcnl.ts";

const DEFAULT_PATH = "/etc/sgx_default_qcnl.conf";

/**
 * Reads the configuration of Intel's quote provider library: the given file, else that of QCNL_CONF_PATH, else the one in
 * /etc. Rejects with `AttestationError` QCNL_NOT_FOUND or QCNL_MALFORMED.
 */
export async function readQcnl(path?: string): Promise<QcnlSettings> {
  const text = await readFile(path ?? process.env["QCNL_CONF_PATH"] ?? DEFAULT_PATH, "utf8").catch((error: unknown) => {
    throw refusal("QCNL_NOT_FOUND", error);
  });
  return parseQcnl(text);
}
