/** What has changed in a session since it was saved before, as Flue's proposed `saveDelta` has it. */
export interface SessionDelta {
  /** Entries that are new. Each has an `id`, which is unique in its session. */
  newEntries?: readonly any[];
  /** The ids of entries that are gone. */
  removedEntryIds?: readonly string[];
  /** All else of the session: `version`, `leafId`, `metadata`, `createdAt`, `updatedAt`, … */
  [field: string]: any;
}

export interface SessionOptions {
  /**
   * What to do where another writer has saved the session since it was loaded here: `overwrite` it, as Flue's own stores
   * do, or fail with an `error`, a `SessionConflict`.
   */
  conflict?: "overwrite" | "error";
}

/** Sessions, as Flue has stores of them. What a session is made of is Flue's. */
export interface SessionStore {
  save(id: string, data: any): Promise<void>;
  saveDelta(id: string, delta: SessionDelta): Promise<void>;
  load(id: string): Promise<any>;
  delete(id: string): Promise<void>;
}
