import { refusal } from "../errors.ts";

/** An instance of Microsoft Azure Attestation, or a stand-in of it for simulated platforms. */
export interface MaaProvider {
  /** For example "https://sharedcus.cus.attest.azure.net". Also the issuer that tokens must name. */
  readonly url: string;
  /** `azure` takes Microsoft's addresses and real platforms only, `simulated` simulated platforms only. */
  readonly kind: "azure" | "simulated";
  /** PEM of the authority that its TLS certificate is from. Default: the run time's authorities. */
  readonly tlsAuthority?: string;
}

/** Clouds with the service: public, US government, China. */
const AZURE_HOSTS = [".attest.azure.net", ".attest.azure.us", ".attest.azure.cn"];

/** The provider's address without a final slash. Throws `AttestationError` MAA_PROVIDER_INVALID. */
export function providerUrl({ url, kind }: MaaProvider): string {
  const parsed = URL.parse(url);
  const isPlain = parsed?.pathname === "/" && parsed.search === "" && parsed.hash === "" && parsed.username === "";
  if (parsed?.protocol !== "https:" || !isPlain) throw refusal("MAA_PROVIDER_INVALID");
  const isAzure = AZURE_HOSTS.some((suffix) => parsed.hostname.endsWith(suffix)) && parsed.port === "";
  if (kind === "azure" && !isAzure) throw refusal("MAA_PROVIDER_INVALID");
  return parsed.origin;
}
