/**
 * The files of one model version, by path relative to the version directory with `/` between the parts
 * (`saved_model.pb`, `variables/variables.index`). A model is passed around in this form only: inside the TEE its plaintext
 * never touches a disk.
 */
export type ModelFiles = ReadonlyMap<string, Uint8Array>;
