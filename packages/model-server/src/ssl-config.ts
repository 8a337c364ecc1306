import { SSLConfigSchema } from "@cloister/encoding/gen/tensorflow_serving/config/ssl_config_pb";
import { readTextFormat } from "@cloister/encoding/text-format";
import type { ModelServerTls } from "./rpc/tls.ts";

/**
 * Reads the text of an `ssl.cfg` (`tensorflow_model_server --ssl_config_file`): PEM contents as strings. Throws
 * `EncodingError` TEXT_FORMAT_MALFORMED; whether the material can be used is found out by the server that starts with it.
 */
export function readSslConfig(text: string): ModelServerTls {
  const { serverKey, serverCert, customCa, clientVerify } = readTextFormat(SSLConfigSchema, text);
  return {
    key: serverKey,
    cert: serverCert,
    ...(customCa !== "" && { ca: customCa }),
    requireClientCertificate: clientVerify,
  };
}
