import { parseHostPort } from "@cloister/encoding/host-port";
import { z } from "zod";
import { ANY_NAME, DEFAULT_LIMITS, type GatewayLimits } from "./gateway.ts";

/** What nginx and a log line take as it is. */
const PATH = z.string().regex(/^[A-Za-z0-9_./@+-]{1,1024}$/, "letters, digits and _ . / @ + - are allowed");
const SERVER_NAME = z
  .string()
  .regex(
    /^(?:\*|(?:\*\.)?[a-z0-9](?:[a-z0-9-]{0,62})(?:\.[a-z0-9][a-z0-9-]{0,62})*)$/,
    'a DNS name in lower case, "*." and a DNS name, or "*" is needed',
  );
const ADDRESS = z.string().refine((text) => parseHostPort(text) !== undefined, "host:port is needed");
const SECONDS = z.int().min(1).max(86_400);

/** One service behind the gateway: the name that clients ask for, and where it runs. A DNS name with several addresses counts as several. */
const GatewayService = z.strictObject({
  serverName: SERVER_NAME.default(ANY_NAME),
  backends: z.array(ADDRESS).min(1).max(1024),
});

/** The section `gateway` of `cloister.yaml`; every key has a flag of the same name. */
export const GatewayConfig = z.strictObject({
  kind: z.enum(["auto", "nginx", "built-in"]).optional(),
  listen: ADDRESS.optional(),
  services: z
    .array(GatewayService)
    .min(1)
    .max(256)
    .refine((services) => new Set(services.map(({ serverName }) => serverName)).size === services.length, {
      message: "two services have the same name",
    })
    .optional(),
  acceptProxyProtocol: z.boolean().optional(),
  sendProxyProtocol: z.boolean().optional(),
  maxConnections: z.int().min(1).max(1_000_000).optional(),
  maxConnectionsPerAddress: z.int().min(1).max(1_000_000).optional(),
  uploadBytesPerSecond: z.int().min(1024).max(2_000_000_000).optional(),
  connectTimeoutSeconds: SECONDS.optional(),
  idleTimeoutSeconds: SECONDS.optional(),
  probeSeconds: SECONDS.optional(),
  accessLog: PATH.optional(),
  otlpEndpoint: z.url({ protocol: /^https?$/ }).optional(),
  traceRatio: z.number().min(0).max(1).optional(),
  runDir: PATH.optional(),
});

export type GatewayConfig = z.infer<typeof GatewayConfig>;
export type GatewayService = z.infer<typeof GatewayService>;

/** What connections may do, with defaults for what the configuration leaves open. */
export function limitsOf(config: GatewayConfig): GatewayLimits {
  const { maxConnectionsPerAddress, uploadBytesPerSecond } = config;
  return {
    maxConnections: config.maxConnections ?? DEFAULT_LIMITS.maxConnections,
    connectTimeoutSeconds: config.connectTimeoutSeconds ?? DEFAULT_LIMITS.connectTimeoutSeconds,
    idleTimeoutSeconds: config.idleTimeoutSeconds ?? DEFAULT_LIMITS.idleTimeoutSeconds,
    acceptProxyProtocol: config.acceptProxyProtocol ?? DEFAULT_LIMITS.acceptProxyProtocol,
    sendProxyProtocol: config.sendProxyProtocol ?? DEFAULT_LIMITS.sendProxyProtocol,
    ...(maxConnectionsPerAddress !== undefined && { maxConnectionsPerAddress }),
    ...(uploadBytesPerSecond !== undefined && { uploadBytesPerSecond }),
  };
}
