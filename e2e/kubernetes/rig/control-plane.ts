import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { NETWORK, type Program, programPath } from "./layout.ts";
import { namespacePath } from "./network.ts";
import { Service } from "./process.ts";

/** Starts etcd, API server, controller manager, scheduler and DNS in the control plane's network namespace. */
export class ControlPlane {
  readonly #namespace: string;
  readonly #folder: string;
  readonly #services: Service[] = [];

  constructor(namespace: string, folder: string) {
    this.#namespace = namespace;
    this.#folder = folder;
  }

  start(): void {
    const key = (name: string): string => join(this.#folder, "keys", name);
    this.#run("etcd", ["--data-dir", join(this.#folder, "etcd")]);
    this.#run("kube-apiserver", [
      "--etcd-servers=http://127.0.0.1:2379",
      `--advertise-address=${NETWORK.controlPlane}`,
      `--service-cluster-ip-range=${NETWORK.services}`,
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      "--allow-privileged=true",
      "--kubelet-preferred-address-types=InternalIP",
      "--enable-bootstrap-token-auth=true",
      "--enable-aggregator-routing=true",
      // Pods of a lost node move soon.
      "--default-unreachable-toleration-seconds=5",
      "--default-not-ready-toleration-seconds=5",
      `--client-ca-file=${key("ca.crt")}`,
      `--tls-cert-file=${key("apiserver.crt")}`,
      `--tls-private-key-file=${key("apiserver.key")}`,
      `--kubelet-client-certificate=${key("apiserver-kubelet-client.crt")}`,
      `--kubelet-client-key=${key("apiserver-kubelet-client.key")}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${key("service-account.pub")}`,
      `--service-account-signing-key-file=${key("service-account.key")}`,
      `--requestheader-client-ca-file=${key("front-proxy-ca.crt")}`,
      "--requestheader-allowed-names=front-proxy-client",
      "--requestheader-username-headers=X-Remote-User",
      "--requestheader-group-headers=X-Remote-Group",
      "--requestheader-extra-headers-prefix=X-Remote-Extra-",
      `--proxy-client-cert-file=${key("front-proxy-client.crt")}`,
      `--proxy-client-key-file=${key("front-proxy-client.key")}`,
    ]);
    this.#run("kube-controller-manager", [
      `--kubeconfig=${key("controller-manager.conf")}`,
      "--leader-elect=false",
      "--use-service-account-credentials=true",
      // The last two sign what joining nodes see of the cluster, and end tokens.
      "--controllers=*,bootstrap-signer-controller,token-cleaner-controller",
      `--service-account-private-key-file=${key("service-account.key")}`,
      `--root-ca-file=${key("ca.crt")}`,
      `--cluster-signing-cert-file=${key("ca.crt")}`,
      `--cluster-signing-key-file=${key("ca.key")}`,
      "--allocate-node-cidrs=false",
      "--node-monitor-period=2s",
      "--node-monitor-grace-period=16s",
      "--horizontal-pod-autoscaler-sync-period=5s",
      "--horizontal-pod-autoscaler-downscale-stabilization=10s",
      "--horizontal-pod-autoscaler-cpu-initialization-period=10s",
      "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
    ]);
    this.#run("kube-scheduler", [`--kubeconfig=${key("scheduler.conf")}`, "--leader-elect=false"]);
    const corefile = join(this.#folder, "Corefile");
    writeFileSync(corefile, dnsConfig(key("admin.conf")));
    this.#run("coredns", ["-conf", corefile]);
  }

  async stop(): Promise<void> {
    for (const service of this.#services.toReversed()) await service.kill();
  }

  #run(program: Program, args: readonly string[]): void {
    const log = join(this.#folder, "logs", `${program}.log`);
    // nsenter becomes the program: the process id is that of the program itself.
    const command = [`--net=${namespacePath(this.#namespace)}`, programPath(program), ...args];
    this.#services.push(new Service(program, log, "nsenter", command));
  }
}

/** Services by the cluster's own zone, one name outside of it, and nothing else: the rig reaches no other DNS. */
function dnsConfig(kubeconfig: string): string {
  return `.:53 {
  bind ${NETWORK.controlPlane}
  errors
  hosts {
    ${NETWORK.controlPlane} ${NETWORK.outside}
    fallthrough
  }
  kubernetes ${NETWORK.domain} {
    kubeconfig ${kubeconfig}
  }
  template ANY ANY . {
    rcode NXDOMAIN
  }
}
`;
}
