import type { KubernetesInput } from "./settings.ts";

/** Settings with what has no default; for tests. */
export function testSettings(more: Partial<KubernetesInput> = {}): KubernetesInput {
  return {
    image: `registry.example/cloister@sha256:${"ab".repeat(32)}`,
    measurement: "cd".repeat(32),
    model: { name: "digits", version: 1 },
    broker: { host: "attestation.service.com", port: 4433 },
    ...more,
  };
}

/** Stands for a manifest. Its quotes and backslashes have to survive every form. */
export const TEST_MANIFEST = String.raw`{"format":"cloister-enclave/1","text":"quotes \" and {{ braces }}"}`;
