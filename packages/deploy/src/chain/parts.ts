// `@cloister/deploy/chain-parts`: the owner's side of the chain step by step, where the replicas run elsewhere.
export { brokerStep, type OwnerBroker } from "./broker.ts";
export { writeManifest } from "./enclave.ts";
export { prepareFolders, type WorkFolders } from "./folders.ts";
export { importStep, type OwnedModel } from "./model.ts";
export { certificatesStep, type Owner } from "./owner.ts";
export { writeRequesterTrust } from "./requester-trust.ts";
export { loadSamples, type Sample, TOLERANCE } from "./samples.ts";
export { type SealedModel, sealStep } from "./seal.ts";
