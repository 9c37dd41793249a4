/** The role of tenants' requests in the database. It owns no table, so row-level security applies to it. */
export const TENANT_ROLE = 'readapt_tenant';
