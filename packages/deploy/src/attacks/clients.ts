import { createServer, type Server, type TlsOptions } from "node:tls";
import {
  type CertificateAuthority,
  createAuthority,
  generatePrivateKey,
  issueClientCertificate,
  issueServerCertificate,
  type PrivateKey,
} from "@cloister/broker/certificates";
import { type ChannelTls, createChannel, PredictClient } from "@cloister/client";
import { channelOptions } from "../chain/inference.ts";
import { privateKeyPem, SERVING_NAME } from "../chain/owner.ts";
import { type Attack, type AttackContext, codeOf } from "./context.ts";

const CALL_DEADLINE_MS = 5_000;

/** Attacks between requester and replica: the network and the host own every cable. */
export const CLIENT_ATTACKS: readonly Attack[] = [
  {
    name: "wrong-client-certificate",
    tried: "a client asks with a certificate of another authority",
    by: "replica",
    refusal: "CLOSED_AFTER_HANDSHAKE",
    onlyFor: "mutual",
    run: (context) => askAs(context, foreignClient()),
  },
  {
    name: "no-client-certificate",
    tried: "a client asks without any certificate",
    by: "replica",
    refusal: "CLIENT_CERTIFICATE_REFUSED",
    onlyFor: "mutual",
    run: (context) => askAs(context, {}),
  },
  {
    name: "impostor-server",
    tried: "the host answers itself, under the right name but a certificate of its own",
    by: "requester",
    refusal: "SERVER_NOT_TRUSTED",
    run: askImpostor,
  },
];

/** A client identity that the owner never signed. */
function foreignClient(): Pick<ChannelTls, "cert" | "key"> {
  const { authority, key, now } = foreignAuthority();
  const { chain } = issueClientCertificate({ authority, subject: key, now, name: "requester" });
  return { cert: chain, key: privateKeyPem(key) };
}

async function askAs(context: AttackContext, identity: Pick<ChannelTls, "cert" | "key">): Promise<string | null> {
  const { address, tls } = await channelOptions({ address: context.gatewayAddress, requester: context.requester }, 1);
  return ask(context, address, { ca: tls?.ca ?? "", serverName: SERVING_NAME, ...identity });
}

/** The real requester's settings against a server that the host set up in place of the gateway. */
async function askImpostor(context: AttackContext): Promise<string | null> {
  const { authority, key, now } = foreignAuthority();
  const { chain } = issueServerCertificate({ authority, subject: key, now, dnsNames: [SERVING_NAME] });
  const impostor = await listenTls({ key: privateKeyPem(key), cert: chain, ALPNProtocols: ["h2"] });
  try {
    const { tls } = await channelOptions({ address: context.gatewayAddress, requester: context.requester }, 1);
    const { port } = impostor.address() as { port: number };
    return await ask(context, { host: "127.0.0.1", port }, tls ?? { ca: "" });
  } finally {
    impostor.close();
  }
}

async function ask(
  { model }: AttackContext,
  address: { readonly host: string; readonly port: number },
  tls: ChannelTls,
): Promise<string | null> {
  const channel = createChannel({ address, tls });
  try {
    await new PredictClient(channel).status({ model: model.name }, { deadlineMs: CALL_DEADLINE_MS, retries: 0 });
    return null;
  } catch (error) {
    return codeOf(error);
  } finally {
    await channel.close();
  }
}

function foreignAuthority(): { authority: CertificateAuthority; key: PrivateKey; now: Date } {
  const now = new Date();
  return { authority: createAuthority({ name: "Foreign CA", now }), key: generatePrivateKey("p256"), now };
}

function listenTls(options: TlsOptions): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(options);
    // A requester that turns away ends the handshake; that is what the attack is about.
    server.on("tlsClientError", () => undefined);
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}
