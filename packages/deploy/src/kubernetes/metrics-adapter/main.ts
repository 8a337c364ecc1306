import type { V1ConfigMap } from "@kubernetes/client-node";
import { connectFromPod } from "../cluster/connect.ts";
import { startMetricsAdapter } from "./adapter.ts";

// The metrics adapter as a pod: it speaks to the API server with the pod's own account.
const PORT = 6443;

const api = await connectFromPod();
const { data } = await api.call<V1ConfigMap>({
  method: "GET",
  path: "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication",
});
const server = await startMetricsAdapter({
  api,
  port: PORT,
  serviceName: process.env["SERVICE_NAME"] ?? "cloister-metrics",
  requestHeaderCa: data?.["requestheader-client-ca-file"] ?? "",
});
process.once("SIGTERM", () => server.close(() => process.exit(0)));
