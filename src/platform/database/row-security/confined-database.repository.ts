import { Prisma, type Database, type Queryable, type Transaction } from '../database.ts';
import { readConfined } from '../database-reads.ts';
import { TENANT_ROLE } from './tenant-role.ts';

/** Names of Prisma's models as they are written on a client, for example `adapterVersion`. */
const MODELS: ReadonlySet<string> = new Set(
  Object.keys(Prisma.ModelName).map((name) => `${name.charAt(0).toLowerCase()}${name.slice(1)}`),
);

/** Unrestricted clients, by the clients that were made from them and are restricted to one tenant. */
const CONFINED = new WeakMap<Database, Database>();

type Operations = Record<string, (...given: unknown[]) => Promise<unknown>>;

/**
 * Creates a client restricted to the rows of one tenant. Everything runs in a transaction that first takes the tenants'
 * role and sets the tenant, so PostgreSQL hides all other rows, whatever the statement says. Both settings end with the
 * transaction and never stay on a connection that returns to the pool.
 */
export function confineTo(db: Database, tenantId: string): Database {
  const confinement = Prisma.sql`
    SELECT set_config('readapt.tenant_id', ${tenantId}, true), set_config('role', ${TENANT_ROLE}, true)`;
  const transaction: Database['$transaction'] = (async (work: unknown, options?: object) => {
    if (typeof work !== 'function') throw new Error('a confined database runs interactive transactions only');
    return db.$transaction(async (tx) => {
      await tx.$queryRaw(confinement);
      return (work as (tx: Transaction) => Promise<unknown>)(tx);
    }, options);
  }) as Database['$transaction'];
  const alone = (run: (tx: Transaction) => Promise<unknown>): Promise<unknown> =>
    transaction(run, { timeout: 30_000, maxWait: 10_000 });
  const confined = new Proxy({} as Database, {
    get(_none, name) {
      // Promises and loggers look for these properties on any object.
      if (typeof name === 'symbol' || name === 'then' || name === 'toJSON') return undefined;
      if (name === '$transaction') return transaction;
      if (name === '$queryRaw' || name === '$executeRaw') {
        return (...given: unknown[]) => alone((tx) => (tx as unknown as Operations)[name]!(...given));
      }
      if (MODELS.has(name)) return operationsOf(name, alone);
      throw new Error(`a confined database has no ${name}`);
    },
  });
  CONFINED.set(confined, db);
  readConfined(confined, db, confinement);
  return confined;
}

/**
 * Returns the client without the restriction to a tenant, for work that a tenant's request starts but that depends on
 * rows of all tenants. Explain at each call why it is needed.
 */
export function unconfined<T extends Queryable>(db: T): T {
  return (CONFINED.get(db as Database) as T | undefined) ?? db;
}

function operationsOf(model: string, alone: (run: (tx: Transaction) => Promise<unknown>) => Promise<unknown>): object {
  return new Proxy<Operations>(
    {},
    {
      get:
        (_none, operation) =>
        (...given: unknown[]) =>
          alone((tx) => {
            const operations = (tx as unknown as Record<string, Operations>)[model]!;
            return operations[String(operation)]!(...given);
          }),
    },
  );
}
