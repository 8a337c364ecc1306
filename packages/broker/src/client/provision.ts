import { ByteStream } from "../wire/byte-stream.ts";
import { exchange } from "./answer.ts";
import { withBroker } from "./with-broker.ts";
import { exchangeNative } from "./native-answer.ts";
import type { NativeProvisioned, NativeProvisionOptions, Provisioned, ProvisionOptions } from "./provisioned.ts";

/**
 * Gets an enclave its wrap key, bundle manifest and serving identity. Tries the brokers in order; a failure to connect or to
 * shake hands (also an untrusted server) moves on to the next, anything after the request was sent is final: the key may be
 * out, so the caller starts again with a new RA-TLS key.
 *
 * Throws `BrokerError`: BROKER_UNREACHABLE, BROKER_NOT_TRUSTED or BROKER_HANDSHAKE_FAILED (of the last broker tried),
 * PROVISIONING_REFUSED (with `refusedFor`), PROVISIONING_TIMEOUT, PROVISIONING_CANCELLED, CONNECTION_LOST,
 * ANSWER_MALFORMED, LOG_PROOF_NOT_OURS.
 */
export async function provision(options: ProvisionOptions): Promise<Provisioned> {
  return withBroker(options, (socket) => exchange(new ByteStream(socket), options));
}

/**
 * The same over the native protocol: the evidence is made for the connection (`certificate` is called once with what it has to
 * hold as nonce), every version of the key and further secrets come in one answer, and a lease where the policy has one.
 *
 * Throws as `provision`, and whatever `certificate` throws.
 */
export async function provisionNative(options: NativeProvisionOptions): Promise<NativeProvisioned> {
  return withBroker(options, (socket) => exchangeNative(socket, new ByteStream(socket), options));
}
