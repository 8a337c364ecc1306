import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodePem } from "@cloister/encoding/pem";
import { buildCertificate, type DistinguishedName } from "@cloister/encoding/x509-builder";
import { NETWORK } from "./layout.ts";

const HOUR_MS = 3_600_000;
const VALID_HOURS = 24;

interface Authority {
  readonly name: DistinguishedName;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

interface Names {
  readonly dns?: string[];
  readonly ips?: string[];
}

/** The keys and certificates of a cluster for a day, in a folder, with kubeconfig files for its parts. */
export function writeKeys(folder: string, nodes: readonly string[]): void {
  const authority = writeAuthority(folder, "ca", "kubernetes");
  const frontProxy = writeAuthority(folder, "front-proxy-ca", "front-proxy");
  const account = generateKeyPairSync("rsa", { modulusLength: 2048 });
  writePrivate(folder, "service-account", account.privateKey);
  writeFileSync(join(folder, "service-account.pub"), account.publicKey.export({ type: "spki", format: "pem" }));
  writeCertificate(folder, "apiserver", authority, [["CN", "kube-apiserver"]], {
    dns: ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"],
    ips: [NETWORK.controlPlane, NETWORK.firstService, "127.0.0.1"],
  });
  writeCertificate(folder, "apiserver-kubelet-client", authority, identity("kube-apiserver", "system:masters"));
  writeCertificate(folder, "front-proxy-client", frontProxy, [["CN", "front-proxy-client"]]);
  const clients: [string, DistinguishedName][] = [
    ["admin", identity("admin", "system:masters")],
    ["controller-manager", [["CN", "system:kube-controller-manager"]]],
    ["scheduler", [["CN", "system:kube-scheduler"]]],
    ["proxy", identity("system:kube-proxy", "system:masters")],
    ...nodes.map((node): [string, DistinguishedName] => [node, identity(`system:node:${node}`, "system:nodes")]),
  ];
  for (const [name, subject] of clients) {
    writeCertificate(folder, name, authority, subject);
    writeKubeconfig(folder, name);
  }
}

const identity = (name: string, group: string): DistinguishedName => [
  ["O", group],
  ["CN", name],
];

const validity = () => ({
  notBefore: new Date(Date.now() - HOUR_MS),
  notAfter: new Date(Date.now() + VALID_HOURS * HOUR_MS),
});

function writeAuthority(folder: string, file: string, commonName: string): Authority {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name: DistinguishedName = [["CN", commonName]];
  const issuer = { name, ...keys };
  const der = buildCertificate(
    {
      subject: name,
      publicKey: keys.publicKey,
      ...validity(),
      basicConstraints: { ca: true },
      keyUsage: ["keyCertSign", "cRLSign"],
    },
    issuer,
  );
  writeFileSync(join(folder, `${file}.crt`), encodePem("CERTIFICATE", der));
  writePrivate(folder, file, keys.privateKey);
  return issuer;
}

function writeCertificate(
  folder: string,
  file: string,
  issuer: Authority,
  subject: DistinguishedName,
  names: Names = {},
): void {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const der = buildCertificate(
    {
      subject,
      publicKey: keys.publicKey,
      ...validity(),
      keyUsage: ["digitalSignature"],
      extendedKeyUsage: ["serverAuth", "clientAuth"],
      ...(names.dns !== undefined && { alternativeNames: { dnsNames: names.dns, ipAddresses: names.ips ?? [] } }),
    },
    issuer,
  );
  writeFileSync(join(folder, `${file}.crt`), encodePem("CERTIFICATE", der));
  writePrivate(folder, file, keys.privateKey);
}

function writePrivate(folder: string, file: string, key: KeyObject): void {
  writeFileSync(join(folder, `${file}.key`), key.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
}

function writeKubeconfig(folder: string, name: string): void {
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "rig",
        cluster: {
          server: `https://${NETWORK.controlPlane}:6443`,
          "certificate-authority": join(folder, "ca.crt"),
        },
      },
    ],
    users: [
      {
        name,
        user: { "client-certificate": join(folder, `${name}.crt`), "client-key": join(folder, `${name}.key`) },
      },
    ],
    contexts: [{ name: "rig", context: { cluster: "rig", user: name } }],
    "current-context": "rig",
  };
  // JSON is YAML.
  writeFileSync(join(folder, `${name}.conf`), JSON.stringify(config), { mode: 0o600 });
}
