import type { Database } from '../../../src/platform/database/database.ts';
import { newId } from '../../../src/platform/contract/ids.ts';
import { OPERATOR_SCOPE, type TenantScope } from '../../../src/platform/contract/principal.ts';
import { generateApiKey } from '../../../src/tenants/api-keys/api-key-secret.ts';

export interface TestKeyOptions {
  tenantId?: string | null;
  scopes?: readonly string[];
  expiresAt?: Date;
  revokedAt?: Date;
}

/** Inserts an API key: the operator's, unless a tenant is given. @returns the key */
export async function createTestKey(db: Database, options: TestKeyOptions = {}): Promise<string> {
  const { key, prefix, secretHash } = generateApiKey();
  const tenantId = options.tenantId ?? null;
  const scopes = options.scopes ?? (tenantId === null ? [OPERATOR_SCOPE] : ['tenant:admin']);
  await db.apiKey.create({
    data: {
      id: newId('apiKey'),
      tenantId,
      name: 'test',
      prefix,
      secretHash,
      scopes: [...scopes],
      expiresAt: options.expiresAt,
      revokedAt: options.revokedAt,
    },
  });
  return key;
}

export interface TestTenant {
  id: string;
  name: string;
  key: string;
}

/** Inserts a tenant with an API key. */
export async function createTestTenant(
  db: Database,
  name: string,
  scope: TenantScope = 'tenant:admin',
): Promise<TestTenant> {
  const { id } = await db.tenant.create({ data: { id: newId('tenant'), name } });
  return { id, name, key: await createTestKey(db, { tenantId: id, scopes: [scope] }) };
}

/** Headers of a request with this key. */
export function bearer(key: string): { authorization: string } {
  return { authorization: `Bearer ${key}` };
}
