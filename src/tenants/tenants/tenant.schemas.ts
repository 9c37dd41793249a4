import Type, { type Static } from 'typebox';
import { Id, Name, Timestamp } from '../../platform/contract/schemas.ts';

export const Tenant = Type.Object(
  { id: Id('tenant'), name: Name, created_at: Timestamp },
  { title: 'Tenant', description: 'An owner of adapters and datasets.' },
);
export type Tenant = Static<typeof Tenant>;

export const CreateTenant = Type.Object(
  { name: Name },
  { title: 'CreateTenant', description: 'What a tenant is created with.', additionalProperties: false },
);
export type CreateTenant = Static<typeof CreateTenant>;

export const TenantParams = Type.Object({ id: Id('tenant') });
