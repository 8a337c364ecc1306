import { isIP } from "node:net";
import { checkServerIdentity, type ConnectionOptions } from "node:tls";
import { ATTESTED_H2, type ATTESTED_HTTP1 } from "@cloister/encoding/connection-evidence";
import type { ChannelOptions, ChannelTls } from "./options.ts";

/** What stands behind the exchange of evidence: gRPC or REST. */
export type AttestedProtocol = typeof ATTESTED_H2 | typeof ATTESTED_HTTP1;

/** TLS 1.2 or later with HTTP/2, or HTTP/1.1, to a server whose certificate is for `name`. */
export function plainTlsOptions(name: string, tls: ChannelTls, protocol: "h2" | "http/1.1" = "h2"): ConnectionOptions {
  return {
    ...(tls.ca !== undefined && { ca: tls.ca }),
    ...(tls.cert !== undefined && { cert: tls.cert }),
    ...(tls.key !== undefined && { key: tls.key }),
    // What the caller names is trusted as it is, be it the server's own certificate: as gRPC does it.
    allowPartialTrustChain: true,
    minVersion: "TLSv1.2",
    ALPNProtocols: [protocol],
    rejectUnauthorized: true,
    // An IP address is no legal server name (RFC 6066, section 3), but it is compared with the certificate's IP entries.
    servername: isIP(name) === 0 ? name : "",
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  };
}

/** TLS 1.3 with an exchange of evidence before HTTP. */
export function attestedTlsOptions(
  name: string,
  tls: ChannelTls,
  protocol: AttestedProtocol = ATTESTED_H2,
): ConnectionOptions {
  const options = { ...plainTlsOptions(name, tls), minVersion: "TLSv1.3", ALPNProtocols: [protocol] } as const;
  // Without an authority the evidence decides alone; it is bound to the certificate's key and to this connection.
  return tls.ca === undefined ? { ...options, rejectUnauthorized: false } : options;
}

/** Where to connect, and the name that the certificate there has to carry. */
export function tlsTarget({ address, tls }: Pick<ChannelOptions, "address" | "tls">): {
  host: string;
  port: number;
  name: string;
  tls: ChannelTls;
} {
  return { ...address, name: tls?.serverName ?? address.host, tls: tls ?? {} };
}
