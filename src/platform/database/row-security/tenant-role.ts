/** Database role for requests of tenants. It owns no table, so row-level security applies to it. */
export const TENANT_ROLE = 'readapt_tenant';
