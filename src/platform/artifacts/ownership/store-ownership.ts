/** Reason why nothing may be removed from a store. */
export interface OwnershipProblem {
  /** The problem and the settings to check. Everybody may read it, because it contains no values of settings. */
  readonly message: string;
  /** Whether storing is refused as well, because the store's own database would remove the artifact. */
  readonly isForeign: boolean;
}

/** Whether a store belongs to the database that names its artifacts. */
export interface StoreOwnership {
  /**
   * Finds the problem with the ownership; null if the store belongs to this database. An answer up to `atMostMs` old
   * (default ten seconds) is reused. A new check needs a database connection. So call this before a transaction, which
   * may hold the only connection, and within the transaction accept the older answer.
   */
  problem(atMostMs?: number): Promise<OwnershipProblem | null>;
  /** Makes the store belong to this database, whatever its mark says. */
  adopt(): Promise<void>;
}

/** Ownership of a store that is used without a database: there is never a problem. */
export const NO_OWNERSHIP: StoreOwnership = {
  problem: () => Promise.resolve(null),
  adopt: () => Promise.resolve(),
};
