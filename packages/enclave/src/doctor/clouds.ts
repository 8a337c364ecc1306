/** What to rent and what to expect there. The figures are those of the original system's cloud table; providers change them. */
export interface Cloud {
  readonly instances: readonly string[];
  /** Of the size that was named there. */
  readonly epcGiB: number;
  readonly vcpus: number;
  readonly system: string;
  /** Name of the collateral service, for `--service`. */
  readonly service: string;
  /** The guide in docs/how-to. */
  readonly guide: string;
}

export const CLOUD_NAMES = ["alibaba", "tencent", "azure", "bytedance", "bare-metal"] as const;
export type CloudName = (typeof CLOUD_NAMES)[number];

export const CLOUDS: Readonly<Record<CloudName, Cloud>> = {
  alibaba: {
    instances: ["g7t", "c7t", "r7t"],
    epcGiB: 32,
    vcpus: 16,
    system: "Alibaba Cloud Linux 2.1903, kernel 4.19.91-24 with the vendor's driver",
    service: "alibaba",
    guide: "docs/how-to/cloud-alibaba.md",
  },
  tencent: {
    instances: ["M6ce.4XLARGE128"],
    epcGiB: 64,
    vcpus: 16,
    system: "TencentOS 3.1, kernel 5.4.119 with the vendor's driver",
    service: "tencent",
    guide: "docs/how-to/cloud-tencent.md",
  },
  azure: {
    instances: ["Standard_DC16s_v3", "Standard_DC2s_v3"],
    epcGiB: 64,
    vcpus: 16,
    system: "Ubuntu 20.04 Gen2 or newer, kernel 5.15 or newer",
    service: "azure",
    guide: "docs/how-to/cloud-azure.md",
  },
  bytedance: {
    instances: ["ecs.ebmg2t.32xlarge"],
    epcGiB: 256,
    vcpus: 16,
    system: "Ubuntu 20.04, kernel 5.15",
    service: "bytedance",
    guide: "docs/how-to/cloud-bytedance.md",
  },
  "bare-metal": {
    instances: ["a server with SGX, flexible launch control and EPC set aside in the firmware"],
    epcGiB: 64,
    vcpus: 16,
    system: "Linux 5.11 or newer",
    service: "intel",
    guide: "docs/how-to/cloud-bare-metal.md",
  },
};
