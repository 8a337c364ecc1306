import { createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Collateral } from "../collateral/collateral.ts";
import type { CollateralService } from "../collateral/collateral-request.ts";
import { SIMULATED_FMSPC, type SimulatedPlatform } from "../simulated/index.ts";
import { answerAsPccs, type CollateralQuery, type PccsStyle } from "../simulated/pccs-routes.ts";
import { createLocalTlsIdentity, type TlsIdentity } from "./tls-identity.ts";

export interface PccsServerOptions {
  /** Gives the set that a request is about. */
  readonly find: (query: CollateralQuery) => Collateral | undefined;
  /** Default: a fresh identity of this machine. */
  readonly tls?: TlsIdentity;
  /** Default "127.0.0.1". */
  readonly host?: string;
  /** Default: any free one. */
  readonly port?: number;
  readonly style?: PccsStyle;
  /** Answers instead of the service; returns false to let it answer. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean;
}

export interface PccsServer extends AsyncDisposable {
  /** For a client of version 4. */
  readonly service: CollateralService;
  readonly close: () => Promise<void>;
}

/** A collateral cache over TLS on the routes of dcap.md C.7. It keeps no data of its own. Rejects where the port is taken. */
export async function startPccsServer(options: PccsServerOptions): Promise<PccsServer> {
  const { host = "127.0.0.1", port = 0, tls = createLocalTlsIdentity(new Date(), host) } = options;
  const server = createServer({ key: tls.key, cert: tls.certificate, minVersion: "TLSv1.2" }, (request, response) => {
    if (options.intercept?.(request, response) !== true) answer(options, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  const url = `https://${host}:${(server.address() as AddressInfo).port}/sgx/certification/v4/`;
  return { service: { kind: "pccs", url, tlsAuthority: tls.authority }, close, [Symbol.asyncDispose]: close };
}

export interface SimulatedPccsOptions extends Omit<PccsServerOptions, "find"> {
  /** Issue date of what is served: its lists and documents are issued anew for each request. */
  readonly clock: () => Date;
}

/** A PCCS for a simulated platform, with its revocations as they are at each request. */
export async function startSimulatedPccs(
  platform: SimulatedPlatform,
  options: SimulatedPccsOptions,
): Promise<PccsServer> {
  return await startPccsServer({
    ...options,
    find: ({ tee, fmspc, ca }) => {
      const isKnown = (fmspc ?? SIMULATED_FMSPC) === SIMULATED_FMSPC && (ca ?? platform.pckCa) === platform.pckCa;
      return isKnown ? platform.collateral({ tee, issuedAt: options.clock() }) : undefined;
    },
  });
}

function answer({ find, style }: PccsServerOptions, request: IncomingMessage, response: ServerResponse): void {
  if (request.method !== "GET") {
    response.writeHead(405, { allow: "GET" }).end();
    return;
  }
  const { status, headers, body } = answerAsPccs(request.url ?? "", find, style);
  response.writeHead(status, headers).end(body);
}
