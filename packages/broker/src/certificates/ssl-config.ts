import { fromUtf8, Secret, utf8 } from "@cloister/encoding";
import type { PrivateKey } from "./private-key.ts";

export interface SslConfigFields {
  readonly privateKey: PrivateKey;
  /** PEM chain, leaf first. */
  readonly certificateChain: string;
  /** PEM of the authority of clients' certificates. With it, every client must show one. */
  readonly clientCa?: string;
}

/**
 * The text of `ssl.cfg` for `tensorflow_model_server --ssl_config_file`: protobuf text format of
 * `tensorflow.serving.SSLConfig`, whose strings are the contents of PEM files. It holds the private key, so it goes into a
 * protected file or a secret and nowhere else.
 */
export function writeSslConfig({ privateKey, certificateChain, clientCa }: SslConfigFields): Secret {
  const key = fromUtf8(privateKey.toPem().reveal()) ?? "";
  const lines = [
    `server_key: ${quote(key)}`,
    `server_cert: ${quote(certificateChain)}`,
    `custom_ca: ${quote(clientCa ?? "")}`,
    `client_verify: ${clientCa !== undefined}`,
  ];
  return new Secret(utf8(`${lines.join("\n")}\n`), "ssl.cfg");
}

/** A string literal of the text format. PEM is printable ASCII and line feeds; anything else is refused. */
function quote(pem: string): string {
  if (!/^[\x20-\x7e\n]*$/.test(pem)) throw new RangeError("PEM text holds a character outside printable ASCII");
  return `"${pem.replaceAll(/["\\]/g, String.raw`\$&`).replaceAll("\n", String.raw`\n`)}"`;
}
