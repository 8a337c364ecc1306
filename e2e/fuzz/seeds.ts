import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { parsePem } from "@cloister/encoding/pem";
import { createRaTlsCertificate } from "@cloister/attestation/ra-tls";
import { createSimulatedPlatform } from "@cloister/attestation/simulated";

// Valid inputs to begin with: small ones of the DCAP vectors, which are in the repository anyway, and RA-TLS certificates.

const FOLDER = new URL("../../packages/attestation/vectors/dcap/", import.meta.url);
const NOW = new Date("2026-03-10T12:00:00Z");

/** One bundle of each kind: SGX of both CAs, TDX of both versions. */
const CASES: ReadonlySet<string> = new Set([
  "sgx-00a067-config-sw/valid",
  "tdx4-20a06f-uptodate/valid",
  "tdx5-90c06f-td15-uptodate/valid",
  "syn-pos-sgx-platform-uptodate",
]);

interface Index {
  readonly bundles: Readonly<Record<string, { files: Readonly<Record<string, { path: string }>> }>>;
  readonly cases: readonly { id: string; bundle: string }[];
}

const index = JSON.parse(readFileSync(new URL("index.json", FOLDER), "utf8")) as Index;

/** Files of this role, or the certificates of the chains. */
export function vectorSeeds(role: string): readonly Uint8Array[] {
  const bundles = index.cases.filter(({ id }) => CASES.has(id)).map(({ bundle }) => index.bundles[bundle]);
  const files = (name: string): readonly Uint8Array[] => {
    const paths = new Set(bundles.map((bundle) => bundle?.files[name]?.path ?? ""));
    return Array.from(paths, (path) => new Uint8Array(readFileSync(new URL(path, FOLDER))));
  };
  if (role !== "certificate") return files(role);
  const chains = [...files("tcb_info_issuer_chain"), ...files("pck_crl_issuer_chain"), ...files("quote").map(chainOf)];
  return chains.flatMap((chain) => parsePem(Buffer.from(chain).toString("latin1"), "CERTIFICATE"));
}

/** Small JSON texts with every construction of the grammar. */
export function documentSeeds(): readonly Uint8Array[] {
  const texts = [
    '{"a":[1,-2.5e+3,true,false,null,"\\u00e9\\n\\"",{}],"b":{"c":""}}',
    "[9007199254740991,-0,0.1E-2]",
    ' "\u{1f600}\\ud83d\\ude00" ',
  ];
  return texts.map((text) => new TextEncoder().encode(text));
}

export function raTlsSeeds(): readonly Uint8Array[] {
  return seeds;
}

const seeds = await makeRaTlsSeeds();

async function makeRaTlsSeeds(): Promise<readonly Uint8Array[]> {
  const platform = createSimulatedPlatform({ now: NOW });
  const enclave = { mrenclave: new Uint8Array(32), mrsigner: new Uint8Array(32) };
  const quote = async (reportData: Uint8Array): Promise<Uint8Array> => {
    return await Promise.resolve(platform.quote({ ...enclave, reportData }));
  };
  const keyPair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const notAfter = new Date(NOW.getTime() + 86_400_000);
  const certificates = (["both", "legacy", "evidence"] as const).map(async (extensions) => {
    return await createRaTlsCertificate({ keyPair, quote, notBefore: NOW, notAfter, extensions });
  });
  return await Promise.all(certificates);
}

/** The PEM text at the end of a quote. */
function chainOf(quote: Uint8Array): Uint8Array {
  const text = Buffer.from(quote).toString("latin1");
  return quote.subarray(text.indexOf("-----BEGIN"), text.lastIndexOf("-----END CERTIFICATE-----") + 26).slice();
}
