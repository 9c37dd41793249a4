/** Reason why nothing is removed from a store. */
export interface OwnershipProblem {
  /** Problem and the settings to look at, readable by everybody: it contains no values of settings. */
  readonly message: string;
  /** Whether nothing is stored either, because the store's own database would remove it. */
  readonly isForeign: boolean;
}

/** Whether a store belongs to the database that names its artifacts. */
export interface StoreOwnership {
  /**
   * Null if it does. An answer that is not older than this is given again, by default for ten seconds. A new one needs
   * a connection to the database, so in a transaction, which may hold the only one, ask for an older one, and ask anew
   * before it begins.
   */
  problem(atMostMs?: number): Promise<OwnershipProblem | null>;
  /** Makes it belong to this database, whatever its mark says. */
  adopt(): Promise<void>;
}

/** Of a store that is used without its database. */
export const NO_OWNERSHIP: StoreOwnership = {
  problem: () => Promise.resolve(null),
  adopt: () => Promise.resolve(),
};
