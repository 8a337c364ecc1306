import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { fromUtf8 } from "@cloister/encoding";
import { BrokerError } from "../broker-error.ts";
import { passphraseFromFile } from "../keys/passphrase-source.ts";
import type { PostgresSettings } from "./postgres/connection.ts";
import type { SqliteSettings } from "./sqlite/connection.ts";
import type { StoreSettings } from "./store.ts";

const SQLITE = "sqlite:";
const DEFAULT_USER = "cloister";
const DEFAULT_DATABASE = "cloister";

export interface StoreAddress {
  readonly url: string;
  /** Mode 0600; a line end at its end does not count. */
  readonly passwordFile?: string | undefined;
  /** PEM. */
  readonly caFile?: string | undefined;
}

/**
 * Reads `postgresql://user@host:port/database`, or `postgresql:///database?user=NAME&host=/folder` for a Unix socket. A
 * password in it is refused: it would stand in the process list. Throws STORE_OPTIONS_INVALID.
 */
export function parseStoreUrl(text: string): PostgresSettings {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "postgresql:" && url.protocol !== "postgres:")) {
    throw invalid("the address is not a postgresql:// URL");
  }
  if (url.password !== "" || url.searchParams.has("password")) {
    throw invalid("the address has a password in it, which anybody on this machine could read");
  }
  for (const name of url.searchParams.keys()) {
    if (name !== "host" && name !== "user") throw invalid("the address has a parameter other than host and user");
  }
  const host = url.searchParams.get("host") ?? url.hostname.replaceAll(/[[\]]/g, "");
  if (host === "") throw invalid("the address names no host");
  const user = decodeURIComponent(url.username) || (url.searchParams.get("user") ?? DEFAULT_USER);
  const database = decodeURIComponent(url.pathname.slice(1)) || DEFAULT_DATABASE;
  return { host, database, user, ...(url.port !== "" && { port: Number(url.port) }) };
}

/**
 * Settings from an address and the files beside it: `sqlite:FILE`, or what `parseStoreUrl` reads.
 * Throws STORE_OPTIONS_INVALID and what reading the files throws.
 */
export async function readStoreSettings(options: StoreAddress): Promise<StoreSettings> {
  if (options.url.startsWith(SQLITE)) return sqliteSettings(options);
  const settings = parseStoreUrl(options.url);
  const { passwordFile, caFile } = options;
  return {
    ...settings,
    ...(passwordFile !== undefined && { password: await passphraseFromFile(passwordFile) }),
    ...(caFile !== undefined && { ca: fromUtf8(await readFile(caFile)) ?? "" }),
  };
}

function sqliteSettings({ url, passwordFile, caFile }: StoreAddress): SqliteSettings {
  const path = url.slice(SQLITE.length);
  if (path === "" || path.startsWith("//"))
    throw invalid("sqlite: is followed by the path of a file, and by nothing else");
  if (passwordFile !== undefined || caFile !== undefined) throw invalid("a file has neither password nor authority");
  return { path: resolve(path) };
}

function invalid(why: string): BrokerError {
  const remedy = "give sqlite:FILE, or postgresql://user@host/database and the password in a file";
  return new BrokerError("STORE_OPTIONS_INVALID", { what: "the store was not opened", why, remedy });
}
