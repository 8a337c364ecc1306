import { PRESETS as COLLATERAL_SERVICES } from "@cloister/attestation/qcnl";
import type { Size } from "./size.ts";
import type { PresetName } from "./values.ts";

/** What differs between the kinds of clusters. */
export interface Preset {
  readonly sgx: {
    readonly epcResource: string;
    /** Unit in which the resource counts. */
    readonly epcUnit: "bytes" | "mebibytes";
    readonly enclaveResource: string;
    readonly provisionResource: string;
    readonly quoteProvider: string;
  };
  /** Where quotes' collateral comes from, an address as in `sgx_default_qcnl.conf`. */
  readonly pccsUrl: string;
}

const INTEL = {
  epcResource: "sgx.intel.com/epc",
  epcUnit: "bytes",
  enclaveResource: "sgx.intel.com/enclave",
  provisionResource: "sgx.intel.com/provision",
} as const;

const pccs = (name: string): string => COLLATERAL_SERVICES.get(name)?.service.url ?? "";

/**
 * Names of resources by device plugin. On Intel's own, `aesmd` has its webhook mount the node's quoting service. The clouds' plugins
 * count enclave memory only, in mebibytes, and need no annotation.
 */
const LIST: Readonly<Record<PresetName, Preset>> = {
  // The simulated plugin takes Intel's names, so that everything but the hardware is the same.
  simulation: { sgx: { ...INTEL, quoteProvider: "" }, pccsUrl: pccs("local") },
  "sgx-intel": { sgx: { ...INTEL, quoteProvider: "aesmd" }, pccsUrl: pccs("local") },
  "sgx-aks": {
    sgx: {
      epcResource: "kubernetes.azure.com/sgx_epc_mem_in_MiB",
      epcUnit: "mebibytes",
      enclaveResource: "",
      provisionResource: "",
      quoteProvider: "",
    },
    pccsUrl: pccs("azure"),
  },
  alibaba: {
    sgx: {
      epcResource: "alibabacloud.com/sgx_epc_MiB",
      epcUnit: "mebibytes",
      enclaveResource: "",
      provisionResource: "",
      quoteProvider: "",
    },
    pccsUrl: pccs("alibaba"),
  },
  tencent: { sgx: { ...INTEL, quoteProvider: "aesmd" }, pccsUrl: pccs("tencent") },
};

export const presetOf = (name: PresetName): Preset => LIST[name];

/** An amount of enclave memory as the preset's resource counts it. */
export function epcAmount({ sgx }: Preset, size: Size): string {
  return sgx.epcUnit === "bytes" ? String(size.bytes) : String(size.toMebibytes());
}
