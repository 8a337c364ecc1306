import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createRaTlsCertificate } from "@cloister/attestation";
import { provision } from "@cloister/broker/client";
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

function honestQuote({ platform, manifest }: AttackContext, reportData: Uint8Array): Uint8Array {
  return platform.quote({ reportData, mrenclave: measureSimulated(manifest), mrsigner: new Uint8Array(32) });
}

function certificateOver(
  keyPair: KeyPair,
  quote: (reportData: Uint8Array) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const now = Date.now();
  return createRaTlsCertificate({
    keyPair,
    quote,
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + HOUR_MS),
  });
}

/** Asks the broker for the key. Null when it was released. */
async function ask(context: AttackContext, keyPair: KeyPair, certificateDer: Uint8Array): Promise<string | null> {
  const refusal = listenForRefusal(context);
  try {
    const provisioned = await provision({
      brokers: [{ ...context.brokerAddress, serverName: BROKER_NAME }],
      ca: context.owner.servingAuthority.certificate,
      privateKey: keyPair.privateKey,
      certificateDer,
      csr: buildCsr({ subject: [["CN", "attacker"]], ...newKeyPair() }),
    });
    provisioned.wrapKey.wipe();
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
