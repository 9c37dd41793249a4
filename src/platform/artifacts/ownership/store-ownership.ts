/** Reason why nothing may be removed from a store. */
export interface OwnershipProblem {
  /**
   * Description of the problem, with the settings to check. Everybody may read it, because it contains no values of
   * settings.
   */
  readonly message: string;
  /** Whether storing is refused as well as removing, because the store's own database would remove a new artifact. */
  readonly isForeign: boolean;
}

/** Ownership of a store, that is, whether the store belongs to the database in use. */
export interface StoreOwnership {
  /**
   * Finds the problem with the ownership; null if the store belongs to this database. A result that is at most
   * `atMostMs` milliseconds old (default: ten seconds) is reused. A new check needs a database connection. Call this
   * before a transaction begins, because the transaction may hold the only connection, and accept the older result
   * within the transaction.
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
