import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createRaTlsCertificate } from "@cloister/attestation";
import { type BrokerEndpoint, provision, provisionNative } from "@cloister/broker/client";
import { buildCsr } from "@cloister/encoding/x509-builder";
import { measureSimulated } from "@cloister/enclave";
import { BROKER_NAME } from "../chain/owner.ts";
import { type Attack, type AttackContext, codeOf, listenForRefusal } from "./context.ts";

const HOUR_MS = 3_600_000;

type KeyPair = { readonly publicKey: KeyObject; readonly privateKey: KeyObject };

/** Attacks with the evidence of an honest replica. Quotes are public: whoever sees a certificate has them. */
export const EVIDENCE_ATTACKS: readonly Attack[] = [
  {
    name: "stolen-evidence",
    tried: "the quotes of an honest replica are put into a certificate over the attacker's own key",
    by: "broker",
    refusal: "RA_TLS_REPORT_DATA_MISMATCH",
    run: presentStolenQuotes,
  },
  {
    name: "replayed-certificate",
    tried: "a certificate that was served once is presented again",
    by: "broker",
    refusal: "CERTIFICATE_REPLAYED",
    run: presentTwice,
  },
  {
    name: "replayed-evidence",
    tried: "evidence that an honest replica made for one connection to the broker is presented on another",
    by: "broker",
    refusal: "CHANNEL_BINDING_MISMATCH",
    run: replayEvidence,
  },
];

/** Report data binds the honest key, not the attacker's. */
async function presentStolenQuotes(context: AttackContext): Promise<string | null> {
  const honest = newKeyPair();
  const quotes: Uint8Array[] = [];
  await certificateOver(honest, async (reportData) => {
    const quote = honestQuote(context, reportData);
    quotes.push(quote);
    return quote;
  });
  const own = newKeyPair();
  const forged = await certificateOver(own, async () => quotes.shift() ?? new Uint8Array());
  return ask(context, own, forged);
}

/** Even the honest key itself is served once: a key stolen later opens nothing. */
async function presentTwice(context: AttackContext): Promise<string | null> {
  const keyPair = newKeyPair();
  const certificate = await certificateOver(keyPair, async (reportData) => honestQuote(context, reportData));
  const first = await ask(context, keyPair, certificate);
  // The first time has to succeed, or the second refusal would prove nothing.
  if (first !== null) return null;
  return ask(context, keyPair, certificate);
}

/** The host ends the honest connection before its evidence is sent, and sends it over a connection of its own. */
async function replayEvidence(context: AttackContext): Promise<string | null> {
  const keyPair = newKeyPair();
  const taken: Uint8Array[] = [];
  const cut = new AbortController();
  const makeAndCut = async (nonce: Uint8Array): Promise<Uint8Array> => {
    const made = await certificateOver(keyPair, async (reportData) => honestQuote(context, reportData), nonce);
    taken.push(made);
    cut.abort();
    return made;
  };
  const first = await askNative(context, keyPair, makeAndCut, cut.signal);
  const [evidence] = taken;
  // Without evidence of an honest replica, or with a release for it, the refusal would prove nothing.
  if (first !== "PROVISIONING_CANCELLED" || evidence === undefined) return null;
  return askNative(context, keyPair, async () => evidence);
}

function honestQuote({ platform, manifest }: AttackContext, reportData: Uint8Array): Uint8Array {
  return platform.quote({ reportData, mrenclave: measureSimulated(manifest), mrsigner: new Uint8Array(32) });
}

function certificateOver(
  keyPair: KeyPair,
  quote: (reportData: Uint8Array) => Promise<Uint8Array>,
  nonce?: Uint8Array,
): Promise<Uint8Array> {
  const now = Date.now();
  return createRaTlsCertificate({
    keyPair,
    quote,
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + HOUR_MS),
    ...(nonce !== undefined && { nonce }),
  });
}

/** Asks the broker for the key, as a stock client does. Null when it was released. */
function ask(context: AttackContext, keyPair: KeyPair, certificateDer: Uint8Array): Promise<string | null> {
  return expectRefusal(context, async (brokers, ca) => {
    const csr = buildCsr({ subject: [["CN", "attacker"]], ...newKeyPair() });
    const { wrapKey } = await provision({ brokers, ca, privateKey: keyPair.privateKey, certificateDer, csr });
    wrapKey.wipe();
  });
}

/** The same as replicas do. */
function askNative(
  context: AttackContext,
  { publicKey }: KeyPair,
  certificate: (nonce: Uint8Array) => Promise<Uint8Array>,
  signal?: AbortSignal,
): Promise<string | null> {
  return expectRefusal(context, async (brokers, ca) => {
    const { keys } = await provisionNative({
      brokers,
      ca,
      publicKey,
      certificate,
      ...(signal !== undefined && { signal }),
    });
    for (const { secret } of keys) secret.wipe();
  });
}

async function expectRefusal(
  context: AttackContext,
  take: (brokers: [BrokerEndpoint], ca: string) => Promise<void>,
): Promise<string | null> {
  const refusal = listenForRefusal(context);
  try {
    await take([{ ...context.brokerAddress, serverName: BROKER_NAME }], context.owner.servingAuthority.certificate);
    return null;
  } catch (error) {
    return refusal.code() ?? codeOf(error);
  } finally {
    refusal.stop();
  }
}

function newKeyPair(): KeyPair {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}
