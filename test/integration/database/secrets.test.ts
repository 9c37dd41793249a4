import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/index.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.close());

/** Columns whose names sound like secrets, with their actual content. */
const DECIDED = {
  'api_keys.secret_hash': 'the SHA-256 of a secret of 256 random bits, from which it cannot be found',
  'base_source_tokens.sealed':
    'the token of a private model of a hub, encrypted under READAPT_SECRET_KEY (src/platform/config/secret-box.ts)',
  'rate_buckets.tokens': 'requests that a tenant may still make',
  'replicas.sealed_api_key':
    'the key that a serving engine asks for, encrypted under READAPT_SECRET_KEY (src/platform/config/secret-box.ts)',
  'webhook_secrets.sealed':
    'the secret of a webhook endpoint, encrypted under READAPT_SECRET_KEY (src/platform/config/secret-box.ts)',
  'workers.tokens_per_second': 'how fast a worker trains',
};

test('no column holds a secret that can be read', async () => {
  const columns = await database.db.$queryRaw<{ name: string }[]>`
    SELECT table_name || '.' || column_name AS name FROM information_schema.columns
    WHERE table_schema = 'public' AND (
      column_name ~ 'secret|password|passphrase|token|credential|private' OR column_name ~ '^sealed') ORDER BY 1`;
  expect(
    columns.map(({ name }) => name),
    'a secret has to be encrypted under a key from the environment; say in this test what the column holds',
  ).toEqual(Object.keys(DECIDED));
});
