import { POLICY_SCHEMA } from "@cloister/policy";

/** A policy that allows nothing. In YAML it shows, as comments, what a workload looks like. */
export function examplePolicy({ isProduction, isJson }: { isProduction: boolean; isJson: boolean }): string {
  const policy = { schema: POLICY_SCHEMA, production: isProduction, workloads: [] };
  return isJson ? `${JSON.stringify(policy, null, 2)}\n` : yaml(isProduction);
}

const yaml = (isProduction: boolean): string => `# What a policy does not allow is refused: as it stands, every enclave.
# \`cloister enclave measure --manifest FILE --policy FILE\` adds a workload, \`cloister policy check FILE\` says whether it is a policy,
# and the broker takes it up when the file changes.
#
# A workload:
#   - name: my-model
#     identities:
#       - tee: sgx
#         mrenclave: "<64 hex digits>"
#     platforms: [${isProduction ? "{ kind: intel }" : '{ kind: simulated, anchorSha256: "<64 hex digits>" }'}]
#     certificate: { maximumAgeSeconds: 600 }
#     secrets:
#       keyId: models/my-model/1
#       model: { name: my-model, version: 1, minimumGeneration: 1 } # needs --bundles and --owner-key
#       serving: { dnsNames: [grpc.tf-serving.service.com] } # needs --client-ca, or clientVerify: false
#       leaseSeconds: 3600
schema: ${POLICY_SCHEMA}
production: ${isProduction}
workloads: []
`;
