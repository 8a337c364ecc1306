import { INTEL_PCS, type CollateralService } from "../collateral/collateral-request.ts";

export type PresetName = "intel" | "azure" | "alibaba" | "tencent" | "bytedance" | "local";

/** A collateral service that is known by a name. */
export interface Preset {
  readonly name: PresetName;
  readonly service: CollateralService;
  /** Where it can be reached from, and what is special about it. */
  readonly note: string;
}

const pccs = (host: string): CollateralService => ({ kind: "pccs", url: `https://${host}/sgx/certification/v4/` });

const list: readonly Preset[] = [
  { name: "intel", service: INTEL_PCS, note: "Intel's own service; collateral needs no key" },
  {
    name: "azure",
    // Azure's cache wraps distribution points and knows no route of its own for the root's list.
    service: { ...pccs("global.acccache.azure.net"), rootCrlRoute: "crl" },
    note: "Azure's cache; it may serve older TCB info than Intel, up to expired: then use intel for verification",
  },
  { name: "alibaba", service: pccs("sgx-dcap-server.cn-hangzhou.aliyuncs.com"), note: "region cn-hangzhou" },
  { name: "tencent", service: pccs("sgx-dcap-server-tc.sh.tencent.cn"), note: "region Shanghai" },
  { name: "bytedance", service: pccs("sgx-dcap-server.bytedance.com"), note: "from inside the provider's network" },
  {
    name: "local",
    service: pccs("localhost:8081"),
    note: "a PCCS on this machine; its own certificate has to be named as TLS authority",
  },
];

/** Presets by name. The addresses are the clouds' own; what they serve is verified like everything else. */
export const PRESETS: ReadonlyMap<string, Preset> = new Map(list.map((preset) => [preset.name, preset]));
