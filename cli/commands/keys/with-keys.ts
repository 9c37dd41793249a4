import type { ApiKeyService } from '../../../src/tenants/api-keys/index.ts';
import { configOf, type DatabaseOption } from '../../options/database-option.ts';

/** Calls `use` with the API keys in the configured database. */
export async function withKeys<T>(options: DatabaseOption, use: (keys: ApiKeyService) => Promise<T>): Promise<T> {
  const { withDatabase } = await import('../../stack/database.ts');
  const { createApiKeyService } = await import('../../../src/tenants/api-keys/index.ts');
  const config = await configOf(options);
  return withDatabase(config, (db) => use(createApiKeyService({ db, quotas: config.quotas })));
}
