import { generateKeyPairSync } from "node:crypto";
import { get } from "node:http";
import { createServer, type Server } from "node:https";
import { text } from "node:stream/consumers";
import type { TLSSocket } from "node:tls";
import type { V1Pod } from "@kubernetes/client-node";
import { encodePem } from "@cloister/encoding/pem";
import { buildCertificate, type DistinguishedName } from "@cloister/encoding/x509-builder";
import type { ClusterApi } from "../cluster/api.ts";
import { RunningCalls } from "./running-calls.ts";

const GROUP = "custom.metrics.k8s.io";
const VERSION = "v1beta2";
const CALLS_METRIC = "cloister_running_calls";
const HEALTH_PORT = 8502;
const SCRAPE_TIMEOUT_MS = 2000;
const CERTIFICATE_DAYS = 365;
const DAY_MS = 86_400_000;
const ROUTE = new RegExp(`^/apis/${GROUP}/${VERSION}/namespaces/([a-z0-9-]{1,63})/pods/\\*/${CALLS_METRIC}$`);

export interface AdapterOptions {
  readonly api: ClusterApi;
  readonly port: number;
  readonly serviceName: string;
  /** PEM of the authority that signs the API server's own client certificate: only it is answered. */
  readonly requestHeaderCa: string;
}

/**
 * The custom metrics API with one metric: the calls that a replica works on, on average since the autoscaler asked before. It
 * asks the API server, which asks here; the counters are asked of the replicas at that moment. Where one cannot be asked it is left out, as the API wants.
 */
export async function startMetricsAdapter(options: AdapterOptions): Promise<Server> {
  const running = new RunningCalls();
  const server = createServer(
    { ...selfSigned(options.serviceName), requestCert: true, rejectUnauthorized: false, ca: options.requestHeaderCa },
    (request, response) => {
      const url = new URL(request.url ?? "/", "https://adapter.invalid");
      const isKnown = url.pathname === "/readyz" || (request.socket as TLSSocket).authorized;
      const reply = (status: number, body: object): void => {
        response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
      };
      if (!isKnown) return reply(401, { kind: "Status", apiVersion: "v1", status: "Failure", code: 401 });
      answer(options.api, running, url).then(
        (body) => (body === undefined ? reply(404, notFound()) : reply(200, body)),
        () => reply(503, { kind: "Status", apiVersion: "v1", status: "Failure", code: 503 }),
      );
    },
  );
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(options.port, resolve));
  return server;
}

async function answer(api: ClusterApi, running: RunningCalls, url: URL): Promise<object | undefined> {
  if (url.pathname === "/readyz") return { ok: true };
  if (url.pathname === `/apis/${GROUP}/${VERSION}`) return resourceList();
  if (url.pathname === "/apis" || url.pathname === `/apis/${GROUP}`) return group();
  const [, namespace] = ROUTE.exec(decodeURIComponent(url.pathname)) ?? [];
  if (namespace === undefined) return undefined;
  return metricValues(api, running, namespace, url.searchParams.get("labelSelector") ?? "");
}

async function metricValues(
  api: ClusterApi,
  running: RunningCalls,
  namespace: string,
  labelSelector: string,
): Promise<object> {
  const { items } = await api.call<{ items: V1Pod[] }>({
    method: "GET",
    path: `/api/v1/namespaces/${namespace}/pods`,
    query: { labelSelector },
  });
  const timestamp = new Date().toISOString();
  const values = await Promise.all(
    items.map(async ({ metadata, status }) => {
      const counters = await readCounters(status?.podIP);
      if (counters === undefined) return undefined;
      const calls = running.observe(metadata?.uid ?? "", counters);
      return {
        describedObject: { kind: "Pod", namespace, name: metadata?.name, apiVersion: "/v1" },
        metric: { name: CALLS_METRIC },
        timestamp,
        // A quantity of the API: thousandths.
        value: `${Math.round(calls * 1000)}m`,
      };
    }),
  );
  return {
    kind: "MetricValueList",
    apiVersion: `${GROUP}/${VERSION}`,
    metadata: {},
    items: values.filter((value) => value !== undefined),
  };
}

async function readCounters(address: string | undefined): Promise<string | undefined> {
  if (address === undefined) return undefined;
  const url = `http://${address.includes(":") ? `[${address}]` : address}:${HEALTH_PORT}/metrics`;
  try {
    return await new Promise<string>((resolve, reject) => {
      get(
        url,
        { signal: AbortSignal.timeout(SCRAPE_TIMEOUT_MS) },
        (response) => void text(response).then(resolve, reject),
      ).once("error", reject);
    });
  } catch {
    return undefined;
  }
}

/** Nobody checks it: the API server is told to skip that, and the adapter learns nothing secret from it. */
function selfSigned(serviceName: string): { key: string; cert: string } {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name: DistinguishedName = [["CN", serviceName.slice(0, 64)]];
  const now = Date.now();
  const der = buildCertificate(
    {
      subject: name,
      publicKey: keys.publicKey,
      notBefore: new Date(now - DAY_MS),
      notAfter: new Date(now + CERTIFICATE_DAYS * DAY_MS),
      keyUsage: ["digitalSignature"],
      extendedKeyUsage: ["serverAuth"],
      alternativeNames: { dnsNames: [serviceName] },
    },
    { name, ...keys },
  );
  return {
    key: keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    cert: encodePem("CERTIFICATE", der),
  };
}

function group(): object {
  const version = { groupVersion: `${GROUP}/${VERSION}`, version: VERSION };
  return { kind: "APIGroup", apiVersion: "v1", name: GROUP, versions: [version], preferredVersion: version };
}

function resourceList(): object {
  const resource = {
    name: `pods/${CALLS_METRIC}`,
    singularName: "",
    namespaced: true,
    kind: "MetricValueList",
    verbs: ["get"],
  };
  return { kind: "APIResourceList", apiVersion: "v1", groupVersion: `${GROUP}/${VERSION}`, resources: [resource] };
}

const notFound = (): object => ({ kind: "Status", apiVersion: "v1", status: "Failure", reason: "NotFound", code: 404 });
