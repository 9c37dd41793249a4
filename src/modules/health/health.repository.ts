import type { Database } from '../../lib/database.ts';

/** Resolves if the database answers. */
export const pingDatabase = (db: Database): Promise<unknown> => db.$queryRaw`SELECT 1`;
