import type { NodeSettings } from "./settings.ts";
import type { BootstrapStep } from "./step.ts";
import { controlPlaneSteps, workerSteps } from "./steps/cluster.ts";
import { packageSteps } from "./steps/packages.ts";
import { sgxDevices, systemSteps } from "./steps/system.ts";

/**
 * The steps that turn a machine into a node, in order. Pure: the same settings give the same steps. `etc` is the folder that
 * stands for /etc.
 */
export function bootstrapPlan(settings: NodeSettings, etc = "/etc"): BootstrapStep[] {
  return [
    ...systemSteps(etc),
    ...(settings.sgx ? [sgxDevices()] : []),
    ...packageSteps(etc, settings),
    ...(settings.role === "control-plane" ? controlPlaneSteps(etc, settings) : workerSteps(etc, settings)),
  ];
}
