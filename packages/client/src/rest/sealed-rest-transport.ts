import { repeated } from "../channel/retry.ts";
import type { SealedOptions } from "../sealed/options.ts";
import { SealedTransport } from "../sealed/sealed-transport.ts";
import type { RestTransport } from "./rest-transport.ts";

/** REST in sealed sessions: for web pages, and wherever the TLS connection cannot be seen. */
export function createSealedRestTransport(options: SealedOptions): RestTransport {
  const transport = new SealedTransport(options);
  return {
    send: (request) =>
      repeated(request, (endsAt, signal) => {
        const { method: kind, path, body } = request;
        return transport.exchange({ kind, path, body }, { endsAt, signal });
      }),
    close: () => transport.close(),
  };
}
