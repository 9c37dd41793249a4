import type { Queryable } from '../database/database.ts';

/** The lease of one process on work that only one does at a time. */
export interface ProcessLease {
  readonly name: 'sweeper' | `serving_folder:${string}`;
  /** Differs for each process. */
  readonly owner: string;
  readonly forMs: number;
}

/** Takes or renews a lease. False if another process holds it. */
export async function holdLease(db: Queryable, { name, owner, forMs }: ProcessLease): Promise<boolean> {
  const count = await db.$executeRaw`
    UPDATE process_leases SET owner = ${owner},
      expires_at = clock_timestamp() + make_interval(secs => ${forMs / 1000}::float8)
    WHERE name = ${name} AND (owner IS NULL OR owner = ${owner} OR expires_at < clock_timestamp())`;
  return count === 1;
}

/**
 * Makes a lease last longer that this process has. Unlike {@link holdLease}, it does not take back what was given up
 * meanwhile.
 */
export async function renewLease(db: Queryable, { name, owner, forMs }: ProcessLease): Promise<boolean> {
  const count = await db.$executeRaw`
    UPDATE process_leases SET expires_at = clock_timestamp() + make_interval(secs => ${forMs / 1000}::float8)
    WHERE name = ${name} AND owner = ${owner}`;
  return count === 1;
}

/** Makes a lease known that the migrations have not made. Nobody holds it then, unless somebody did before. */
export async function ensureLease(db: Queryable, name: ProcessLease['name']): Promise<void> {
  await db.$executeRaw`INSERT INTO process_leases (name) VALUES (${name}) ON CONFLICT DO NOTHING`;
}

export async function giveUpLease(db: Queryable, { name, owner }: ProcessLease): Promise<void> {
  await db.$executeRaw`UPDATE process_leases SET owner = NULL WHERE name = ${name} AND owner = ${owner}`;
}
