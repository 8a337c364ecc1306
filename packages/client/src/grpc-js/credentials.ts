import type { Socket } from "node:net";
import { connect, type ConnectionOptions } from "node:tls";
import { once } from "node:events";
import { CallCredentials, ChannelCredentials, type ChannelOptions } from "@grpc/grpc-js";
import { type Attestor, createAttestor } from "../attested/attestor.ts";
import type { AttestationOptions } from "../attested/options.ts";
import { attestedConnectionFailed } from "../attested/refusals.ts";
import type { ChannelTls } from "../channel/options.ts";
import { attestedTlsOptions } from "../channel/tls-options.ts";

type SecureConnector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

/**
 * Credentials for `@grpc/grpc-js` with which existing stubs talk to verified replicas only: every connection is appraised
 * before grpc-js gets it, so nothing of a call can go to a replica that did not pass.
 *
 * ```ts
 * const client = new PredictionServiceClient(address, attestedCredentials(tls, attestation));
 * ```
 *
 * A refused replica counts as a failed connection: grpc-js tries again with its own backoff, and a call that does not wait
 * for that ends with UNAVAILABLE. `attestation.onRefused` tells why.
 */
export function attestedCredentials(tls: ChannelTls, attestation: AttestationOptions): ChannelCredentials {
  return new AttestedCredentials(tls, createAttestor(attestation));
}

class AttestedCredentials extends ChannelCredentials {
  readonly #tls: ChannelTls;
  readonly #attestor: Attestor;

  constructor(tls: ChannelTls, attestor: Attestor) {
    super();
    this.#tls = tls;
    this.#attestor = attestor;
  }

  override _isSecure(): boolean {
    return true;
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(
    target: { readonly path: string },
    options: ChannelOptions,
    callCredentials: CallCredentials = CallCredentials.createEmpty(),
  ): SecureConnector {
    const override = options["grpc.ssl_target_name_override"];
    const name = this.#tls.serverName ?? override ?? hostOf(target.path);
    const tlsOptions = attestedTlsOptions(name, this.#tls);
    return {
      connect: async (socket) => ({ socket: await openAttested(socket, tlsOptions, this.#attestor), secure: true }),
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => callCredentials,
      destroy: () => undefined,
    };
  }
}

async function openAttested(socket: Socket, options: ConnectionOptions, attestor: Attestor): Promise<Socket> {
  const secured = connect({ ...options, socket });
  // grpc-js listens to errors only once it has the socket.
  secured.on("error", () => undefined);
  try {
    await once(secured, "secureConnect");
    await attestor.verify(secured);
    return secured;
  } catch (cause) {
    secured.destroy();
    throw attestedConnectionFailed(cause);
  }
}

/** The host of `host:port`, `[address]:port` or a host alone. */
function hostOf(target: string): string {
  return /^\[(.+)\](?::\d+)?$/.exec(target)?.[1] ?? target.replace(/:\d+$/, "");
}
