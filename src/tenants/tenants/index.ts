export { findTenant, tenantExists } from './tenant.repository.ts';
export { createTenantService, toTenant, type TenantService } from './tenant.service.ts';
export { Tenant } from './tenant.schemas.ts';
export { ownedBy, resolveOwner } from './owner.ts';
