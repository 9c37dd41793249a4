import type { Queryable } from '../database/database.ts';

/** Temporary claim of a process to work that only one process may do at a time. */
export interface ProcessLease {
  readonly name: 'sweeper' | `serving_folder:${string}`;
  /** Identifier of the process that holds the lease or wants it. */
  readonly owner: string;
  readonly forMs: number;
}

/** Takes or renews a lease. @returns false if another process holds it */
export async function holdLease(db: Queryable, { name, owner, forMs }: ProcessLease): Promise<boolean> {
  const count = await db.$executeRaw`
    UPDATE process_leases SET owner = ${owner},
      expires_at = clock_timestamp() + make_interval(secs => ${forMs / 1000}::float8)
    WHERE name = ${name} AND (owner IS NULL OR owner = ${owner} OR expires_at < clock_timestamp())`;
  return count === 1;
}

/**
 * Renews a lease that this process holds. Unlike {@link holdLease}, it does not retake a lease that was released in the
 * meantime.
 * @returns false if this process does not hold it
 */
export async function renewLease(db: Queryable, { name, owner, forMs }: ProcessLease): Promise<boolean> {
  const count = await db.$executeRaw`
    UPDATE process_leases SET expires_at = clock_timestamp() + make_interval(secs => ${forMs / 1000}::float8)
    WHERE name = ${name} AND owner = ${owner}`;
  return count === 1;
}

/** Creates the row of a lease that the migrations have not created. A new lease is free. */
export async function ensureLease(db: Queryable, name: ProcessLease['name']): Promise<void> {
  await db.$executeRaw`INSERT INTO process_leases (name) VALUES (${name}) ON CONFLICT DO NOTHING`;
}

export async function giveUpLease(db: Queryable, { name, owner }: ProcessLease): Promise<void> {
  await db.$executeRaw`UPDATE process_leases SET owner = NULL WHERE name = ${name} AND owner = ${owner}`;
}
