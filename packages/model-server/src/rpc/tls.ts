import { createSecureContext, type SecureContextOptions, type TlsOptions } from "node:tls";
import { ModelServerError } from "../errors.ts";

/** The server's identity, and who may connect. PEM texts; one-line PEM bodies are accepted. */
export interface ModelServerTls {
  readonly key: string;
  /** The server's chain, leaf first. */
  readonly cert: string;
  /** Authorities of client certificates. */
  readonly ca?: string;
  /** True: a client without a certificate under `ca` is cut off in the handshake. */
  readonly requireClientCertificate?: boolean;
}

/** Options for a TLS listener: 1.2 or later, one application protocol. Throws TLS_MATERIAL_INVALID. */
export function serverTlsOptions(tls: ModelServerTls, protocol: "h2" | "http/1.1" = "h2"): TlsOptions {
  // OpenSSL takes an empty text for "none given", and would fail at each handshake.
  if (tls.key === "" || tls.cert === "") throw invalidMaterial("key or certificate is empty");
  const isMutual = tls.requireClientCertificate === true;
  if (isMutual && (tls.ca ?? "") === "") throw invalidMaterial("clients are to be verified, but there is no authority");
  const material: SecureContextOptions = {
    key: tls.key,
    cert: tls.cert,
    ...(tls.ca !== undefined && { ca: tls.ca }),
    minVersion: "TLSv1.2",
    // Clients choose AES-GCM or ChaCha20 by what their hardware does well.
    honorCipherOrder: false,
  };
  try {
    createSecureContext(material);
  } catch (cause) {
    throw invalidMaterial("key, certificate or authority cannot be read, or do not belong together", cause);
  }
  return { ...material, requestCert: isMutual, rejectUnauthorized: isMutual, ALPNProtocols: [protocol] };
}

function invalidMaterial(why: string, cause?: unknown): ModelServerError {
  return new ModelServerError(
    "TLS_MATERIAL_INVALID",
    {
      what: "the TLS material cannot be used",
      why,
      remedy: "give PEM texts of a key, its chain and, for mutual TLS, an authority",
    },
    { cause },
  );
}
