import { Secret } from "@cloister/encoding";
import { type CertificateAuthority, createAuthority, openAuthority } from "../certificates/authority.ts";
import { issueServerCertificate } from "../certificates/issue.ts";
import { generatePrivateKey, readPrivateKey } from "../certificates/private-key.ts";
import type { KeyStore } from "../keys/key-store.ts";

const DAY_SECONDS = 86_400;
const AUTHORITY_DAYS = 3650;
/** A certificate is replaced when a third of its life is left. */
const RENEW_AFTER = 2 / 3;
/** The longest wait of a timer, so that a clock that was set is noticed. */
const CHECK_EVERY_MS = 3_600_000;
const SEPARATOR = "\n";

/** The broker's key and certificate chain, PEM, as `startBroker` takes them. */
export interface OwnTls {
  readonly key: string;
  readonly cert: string;
  readonly notAfter: Date;
  readonly renewAt: Date;
}

/**
 * The broker's authority, made at the first start. Certificate and key lie in the key store, encrypted; no policy can name
 * them. Peers are given the certificate.
 */
export async function openOwnAuthority(
  store: KeyStore,
  { name, now }: { name: string; now: Date },
): Promise<CertificateAuthority> {
  const kept = await store.keep("authority", () => {
    const made = createAuthority({ name, now, days: AUTHORITY_DAYS });
    const key = made.privateKey.toPem().reveal();
    const text = Buffer.concat([Buffer.from(made.certificate.trimEnd() + SEPARATOR), key]);
    return new Secret(new Uint8Array(text), "authority");
  });
  const text = Buffer.from(kept.reveal());
  const start = text.indexOf("-----BEGIN PRIVATE KEY");
  const key = new Secret(new Uint8Array(text.subarray(start)), "authority key");
  try {
    return openAuthority(text.toString("latin1", 0, start), readPrivateKey(key));
  } finally {
    key.wipe();
    kept.wipe();
  }
}

/** A fresh key, in memory only, and a certificate for those names. */
export function issueOwnTls(
  authority: CertificateAuthority,
  options: { dnsNames: readonly string[]; ipAddresses: readonly string[]; validityDays: number; now: Date },
): OwnTls {
  const { now, validityDays, dnsNames, ipAddresses } = options;
  const privateKey = generatePrivateKey();
  const { chain, notAfter } = issueServerCertificate({
    authority,
    subject: { publicKey: privateKey.publicKey },
    now,
    dnsNames,
    ipAddresses,
    validitySeconds: validityDays * DAY_SECONDS,
  });
  const pem = privateKey.toPem();
  const key = Buffer.from(pem.reveal()).toString("latin1");
  pem.wipe();
  const renewAt = new Date(now.getTime() + (notAfter.getTime() - now.getTime()) * RENEW_AFTER);
  return { key, cert: chain, notAfter, renewAt };
}

/** Calls `renew` when the certificate of `current` is due, again and again. Returns the function that ends it. */
export function keepRenewed(options: {
  current: () => OwnTls;
  renew: () => void;
  clock: () => Date;
  checkEveryMs?: number;
}): () => void {
  const check = (): void => {
    if (options.clock() >= options.current().renewAt) options.renew();
  };
  const timer = setInterval(check, options.checkEveryMs ?? CHECK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}
