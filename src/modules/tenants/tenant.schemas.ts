import Type, { type Static } from 'typebox';
import { Id, Name, Timestamp } from '../../lib/schemas.ts';

export const Tenant = Type.Object({ id: Id('tenant'), name: Name, created_at: Timestamp }, { title: 'Tenant' });
export type Tenant = Static<typeof Tenant>;

export const CreateTenant = Type.Object({ name: Name }, { title: 'CreateTenant', additionalProperties: false });
export type CreateTenant = Static<typeof CreateTenant>;

export const TenantParams = Type.Object({ id: Id('tenant') });
