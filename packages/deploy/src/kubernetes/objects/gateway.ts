import type { V1Ingress } from "@kubernetes/client-node";
import { type ApiObject, metadataOf } from "../api-object.ts";
import type { Source } from "../source.ts";
import { SERVING_PORT } from "./layout.ts";

/** A gateway that passes TLS through: it reads the server's name and holds no key. */
export function gateway(source: Source): ApiObject & { spec: object } {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "Gateway",
    metadata: metadataOf(source, source.text("name")),
    spec: {
      gatewayClassName: source.text("gateway.className"),
      listeners: [
        {
          name: "tls",
          protocol: "TLS",
          port: source.number("gateway.port"),
          hostname: source.text("gateway.hostname"),
          tls: { mode: "Passthrough" },
          allowedRoutes: { namespaces: { from: "Same" }, kinds: [{ kind: "TLSRoute" }] },
        },
      ],
    },
  };
}

/** Sends connections for the server's name to the replicas. */
export function tlsRoute(source: Source): ApiObject & { spec: object } {
  return {
    apiVersion: "gateway.networking.k8s.io/v1",
    kind: "TLSRoute",
    metadata: metadataOf(source, source.text("name")),
    spec: {
      parentRefs: [{ name: source.text("name"), sectionName: "tls" }],
      hostnames: [source.text("gateway.hostname")],
      rules: [{ backendRefs: [{ name: source.text("name"), port: SERVING_PORT }] }],
    },
  };
}

/**
 * For those who still run ingress-nginx, which was retired in March 2026. Its controller has to run with
 * `--enable-ssl-passthrough`; other annotations have no effect on a connection that it does not open.
 */
export function legacyIngress(source: Source): V1Ingress & ApiObject {
  const host = source.text("gateway.hostname");
  const backend = { service: { name: source.text("name"), port: { number: SERVING_PORT } } };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: {
      ...metadataOf(source, source.text("name")),
      annotations: { "nginx.ingress.kubernetes.io/ssl-passthrough": "true" },
    },
    spec: {
      ingressClassName: source.text("gateway.className"),
      tls: [{ hosts: [host] }],
      rules: [{ host, http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
    },
  };
}
