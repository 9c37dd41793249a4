import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { describeDatabase } from './database-schema.ts';
import { describePrismaSchema } from './prisma-schema.ts';

export { describeDatabase };

export interface Drift {
  /** Lines of schema.prisma that the database lacks. */
  missing: string[];
  /** Lines of the database that schema.prisma lacks. */
  unexpected: string[];
}

/** Compares a migrated database with the text of schema.prisma. */
export async function findDrift(databaseUrl: string, schema?: string): Promise<Drift> {
  const source = schema ?? (await readFile(new URL('../../prisma/schema.prisma', import.meta.url), 'utf8'));
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const expected = describePrismaSchema(source);
    const found = await describeDatabase(client);
    return {
      missing: expected.filter((line) => !found.includes(line)),
      unexpected: found.filter((line) => !expected.includes(line)),
    };
  } finally {
    await client.end();
  }
}
