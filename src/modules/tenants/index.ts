export { createTenantService, type TenantService } from './tenant.service.ts';
