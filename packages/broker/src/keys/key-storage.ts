/** The encrypted key document as it was last seen. */
export interface SeenDocument {
  /** Undefined where there is none yet. */
  readonly bytes: Uint8Array | undefined;
  /** Changes with every replacement; empty where there is none yet. */
  readonly mark: string;
}

/** Where the encrypted key document lies: a file, or a database that several brokers share. */
export interface KeyStorage {
  read(): Promise<SeenDocument>;
  /** The mark that `read` would give. */
  mark(): Promise<string>;
  /**
   * Replaces the document by what `edit` makes of it, while nobody else changes it; undefined leaves it. The new mark comes
   * back when the document is on stable storage.
   */
  update(edit: (seen: SeenDocument) => Promise<Uint8Array | undefined>): Promise<string>;
}
