/** The provisioning service with its files: what `cloister broker` runs. */
export { bundleFolder } from "./bundle-folder.ts";
export type { CollateralSettings } from "./collateral.ts";
export { type PolicyReader, readPolicyFile } from "./policy-file.ts";
export { type IdentityOptions, makeIdentity, STATE_FILES, storeIn } from "./identity.ts";
export { type BrokerService, type BrokerServiceOptions, logOrigin, startBrokerService } from "./service.ts";
export { copyStore, type CopyStoreOptions } from "./copy-store.ts";
