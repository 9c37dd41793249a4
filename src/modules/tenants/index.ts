export { createTenantService } from './tenant.service.ts';
