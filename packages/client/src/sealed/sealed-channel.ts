import { GRPC_PREFIX_LENGTH, grpcStatusName } from "@cloister/encoding/grpc";
import type { Channel } from "../channel/channel.ts";
import { repeated } from "../channel/retry.ts";
import { callFailed } from "../errors.ts";
import type { SealedOptions } from "./options.ts";
import { SealedTransport } from "./sealed-transport.ts";

/**
 * A channel for web pages, where the TLS connection cannot be seen: every call is sealed to an enclave that has proved what it is.
 * The same in Node. Opens no session yet.
 */
export function createSealedChannel(options: SealedOptions): Channel {
  const transport = new SealedTransport(options);
  return {
    call: (request) =>
      repeated(request, async (endsAt, signal) => {
        const body = request.frame.subarray(GRPC_PREFIX_LENGTH);
        const answer = await transport.exchange({ kind: "grpc", path: request.path, body }, { endsAt, signal });
        const status = grpcStatusName(String(answer.status));
        if (status !== "OK") throw callFailed(status, answer.text);
        return { message: answer.body, replica: answer.text === "" ? undefined : answer.text };
      }),
    close: () => transport.close(),
  };
}
