import { checkCollateral, checkServices, checkTcb } from "./collateral-checks.ts";
import type { HostFacts, Purpose } from "./facts.ts";
import type { Finding } from "./finding.ts";
import { checkAesm, checkCpu, checkKernel, checkSgxDevices, checkTdx } from "./hardware-checks.ts";
import { checkKubernetesNode } from "./kubernetes-checks.ts";
import { checkCipher, checkClock, checkNginx, checkNode } from "./runtime-checks.ts";

/** Every check over the facts of a machine. Pure: the same facts give the same findings. */
export function diagnose(facts: HostFacts, purpose: Purpose): readonly Finding[] {
  return [
    checkNode(facts),
    checkCipher(facts),
    checkClock(facts, purpose),
    checkNginx(facts),
    ...checkKubernetesNode(facts, purpose),
    ...checkKernel(facts, purpose),
    ...checkCpu(facts, purpose),
    ...checkSgxDevices(facts, purpose),
    checkAesm(facts, purpose),
    ...checkTdx(facts, purpose),
    ...checkServices(facts),
    ...checkCollateral(facts),
    ...checkTcb(facts),
  ];
}
