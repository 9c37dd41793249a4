import Type, { type Static } from 'typebox';
import { QUOTA_NAMES } from '../../platform/config/quotas.ts';
import { Id, Nullable } from '../../platform/contract/schemas.ts';

const Limit = Nullable(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }));

const Weight = Type.Number({
  minimum: 0.1,
  maximum: 100,
  description:
    "How many of the tenant's jobs begin for each one of a tenant with the weight 1, while both have some waiting.",
});

const IsDefault = Type.Boolean({ description: "Whether it is the service's and not the tenant's own." });

const RequestsPerMinute = Type.Integer({ minimum: 1, maximum: 1_000_000_000 });

export const TenantQuotas = Type.Object(
  {
    tenant_id: Id('tenant'),
    quotas: Type.Array(
      Type.Object(
        {
          name: Type.Enum(QUOTA_NAMES, {
            title: 'QuotaName',
            description:
              '`stored_bytes` counts datasets and adapter versions, `queued_jobs` those that wait or run, and ' +
              '`device_seconds` the time for which jobs have held a device in this month.',
          }),
          limit: Nullable(Type.Integer({ description: 'Null if there is no limit.' })),
          used: Type.Number({ description: 'Bytes that running uploads have reserved are in it.' }),
          is_default: IsDefault,
          resets_at: Nullable(
            Type.String({ format: 'date-time', description: 'Time at which the use counts from zero again.' }),
          ),
        },
        { title: 'Quota', description: 'A limit of a tenant, and how much of it is used.' },
      ),
    ),
    requests_per_minute: Type.Object(
      { limit: Type.Integer({ description: 'Requests per minute.' }), is_default: IsDefault },
      {
        title: 'RequestRate',
        description: 'Requests with all keys of the tenant at all API processes together.',
      },
    ),
    weight: Type.Object(
      { value: Weight, is_default: IsDefault },
      { title: 'TenantWeight', description: 'The share of the workers that the tenant has, beside others.' },
    ),
  },
  { title: 'TenantQuotas', description: 'What a tenant may have, and what it has.' },
);
export type TenantQuotas = Static<typeof TenantQuotas>;

export const SetTenantQuotas = Type.Object(
  {
    adapters: Type.Optional(Limit),
    stored_bytes: Type.Optional(Limit),
    dataset_rows: Type.Optional(Limit),
    queued_jobs: Type.Optional(Limit),
    device_seconds: Type.Optional(Limit),
    api_keys: Type.Optional(Limit),
    requests_per_minute: Type.Optional(RequestsPerMinute),
    weight: Type.Optional(Weight),
  },
  {
    title: 'SetTenantQuotas',
    additionalProperties: false,
    description: "The tenant's own limits. Null is no limit; what is left out has the default of the service.",
  },
);
export type SetTenantQuotas = Static<typeof SetTenantQuotas>;

export const QuotaParams = Type.Object({ id: Id('tenant') });
