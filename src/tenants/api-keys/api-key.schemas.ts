import Type, { type Static } from 'typebox';
import { PageQuery } from '../../platform/contract/pagination.ts';
import { OPERATOR_SCOPES, TENANT_SCOPES } from '../../platform/contract/principal.ts';
import { Id, Nullable, requestedTime, Timestamp } from '../../platform/contract/schemas.ts';

const DAY_MS = 86_400_000;
export const DEFAULT_KEY_OVERLAP_MS = DAY_MS;
export const MAX_OVERLAP_MS = 30 * DAY_MS;

const Scope = Type.Enum([...OPERATOR_SCOPES, ...TENANT_SCOPES] as const, {
  title: 'Scope',
  description:
    '`operator` may do everything, for all tenants, and `operator:read` read everything. `tenant:admin` includes ' +
    '`tenant:write`, which includes `tenant:read`, which includes `serving:read`: reading adapters, what is to be ' +
    'served, and their files. The operator makes keys with `serving:read` alone for all tenants (`tenant_id: null`).',
});

const properties = {
  id: Id('apiKey'),
  tenant_id: Nullable(
    Id(
      'tenant',
      'The owner of the key; null for an operator key, and for one that reads what is to be served of all tenants.',
    ),
  ),
  name: Type.String(),
  prefix: Type.String({ description: 'The part of the key that is not secret: `rdp_<prefix>_…`.' }),
  scopes: Type.Array(Scope),
  created_at: Timestamp,
  last_used_at: Nullable(Type.String({ format: 'date-time', description: 'Accurate to a minute.' })),
  expires_at: Nullable(Timestamp),
  revoked_at: Nullable(Timestamp),
  rotated_from_id: Nullable(Id('apiKey', 'The key whose place it has taken, until that one expires.')),
};

export const ApiKey = Type.Object(properties, { title: 'ApiKey', description: 'An API key, without its secret.' });
export type ApiKey = Static<typeof ApiKey>;

export const CreatedApiKey = Type.Object(
  {
    ...properties,
    key: Nullable(
      Type.String({ description: 'The whole key, which is shown only once: a replayed answer has null here.' }),
    ),
  },
  { title: 'CreatedApiKey', description: 'An API key as its creation answers it, with the key itself.' },
);
export type CreatedApiKey = Static<typeof CreatedApiKey>;

export const Caller = Type.Object(
  {
    key_id: properties.id,
    name: Type.String({ description: 'The name of the key.' }),
    is_operator: Type.Boolean({ description: 'Whether it is a key of the operator, who sees all tenants.' }),
    read_only: Type.Boolean({ description: 'Whether it can be used for reading only.' }),
    tenant_id: properties.tenant_id,
    tenant_name: Nullable(Type.String({ description: 'The name of the owner; null for an operator key.' })),
    scopes: properties.scopes,
    created_at: Timestamp,
    expires_at: Nullable(Timestamp),
  },
  { title: 'Caller', description: 'Whose key a request has, and what it may do.' },
);
export type Caller = Static<typeof Caller>;

const ExpiresAt = requestedTime('When the key can be used no more.');

export const CreateApiKey = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100 }),
    tenant_id: Type.Optional(
      Type.Union([Id('tenant'), Type.Null()], {
        description: 'The owner of the key; null for an operator key. A tenant may leave it out.',
      }),
    ),
    scopes: Type.Array(Scope, { minItems: 1, uniqueItems: true }),
    expires_at: Type.Optional(Type.Union([ExpiresAt, Type.Null()])),
  },
  { title: 'CreateApiKey', description: 'What an API key is created with.', additionalProperties: false },
);
export type CreateApiKey = Static<typeof CreateApiKey>;

export const RotateApiKey = Type.Object(
  {
    overlap_ms: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: MAX_OVERLAP_MS,
        default: DEFAULT_KEY_OVERLAP_MS,
        description: 'How long the old key can still be used; a day by default, 30 at most.',
      }),
    ),
    expires_at: Type.Optional(
      Type.Union([ExpiresAt, Type.Null()], {
        description: 'When the new key expires. By default it is valid for as long as the old one was made to be.',
      }),
    ),
  },
  { title: 'RotateApiKey', description: 'How a key is replaced.', additionalProperties: false },
);
export type RotateApiKey = Static<typeof RotateApiKey>;

export const ApiKeyParams = Type.Object({ id: Id('apiKey') });

export const ListApiKeys = Type.Object(
  { ...PageQuery.properties, tenant_id: Type.Optional(Id('tenant')) },
  { additionalProperties: false },
);
export type ListApiKeys = Static<typeof ListApiKeys>;
