import { createPrivateKey } from "node:crypto";
import { json } from "node:stream/consumers";
import { decodeCollateral } from "@cloister/attestation";
import { KeyStore, passphraseProtection, startBroker } from "@cloister/broker";
import { createServingCa, openAuthority, readPrivateKey } from "@cloister/broker/certificates";
import { followPolicies, openStore, type PostgresSettings } from "@cloister/broker/store";
import { Secret } from "@cloister/encoding";
import { REFUSE_ALL } from "@cloister/policy";

// A broker on a shared store, in a process of its own, so that a test can kill it. What it needs comes on standard input;
// it prints its port, then every event, a JSON line each.

export interface StoreBrokerConfig {
  readonly settings: PostgresSettings;
  readonly origin: string;
  readonly signingKey: string;
  readonly passphrase: string;
  readonly tls: { readonly key: string; readonly cert: string };
  readonly authority: { readonly certificate: string; readonly key: string };
  /** Base64. */
  readonly anchor: string;
  readonly collateral: string;
  readonly bundle: { readonly manifest: string; readonly ownerKey: string };
}

const config = (await json(process.stdin)) as StoreBrokerConfig;
const { settings, origin } = config;
const bytes = (base64: string): Uint8Array => Buffer.from(base64, "base64");
const secret = (text: string): Secret => new Secret(Buffer.from(text), "test");
const print = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

const store = await openStore(settings);
const { log, policies } = await store.openLog({ origin, signingKey: createPrivateKey(config.signingKey) });
const active = await policies.current();
const collateral = decodeCollateral(bytes(config.collateral));
const broker = await startBroker({
  host: "127.0.0.1",
  port: 0,
  tls: config.tls,
  policy: active?.policy ?? REFUSE_ALL,
  keys: await KeyStore.open({ storage: store.keyStorage, protection: passphraseProtection(secret(config.passphrase)) }),
  bundles: {
    bundle: () => Promise.resolve({ manifest: bytes(config.bundle.manifest), ownerKey: bytes(config.bundle.ownerKey) }),
  },
  servingCa: createServingCa({
    authority: openAuthority(config.authority.certificate, readPrivateKey(secret(config.authority.key))),
    clock: () => new Date(),
  }),
  collateral: () => Promise.resolve(collateral),
  anchors: [{ name: "simulated", kind: "simulated", certificate: bytes(config.anchor) }],
  log,
  onEvent: print,
});
print({ port: broker.address.port });
await followPolicies(policies, {
  onPolicy: ({ policy }) => broker.replacePolicy(policy),
  signal: new AbortController().signal,
  ...(active !== undefined && { sequence: active.sequence }),
});
