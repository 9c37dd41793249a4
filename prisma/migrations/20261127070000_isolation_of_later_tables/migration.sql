-- Row-level security for the tables with rows of tenants that other migrations have added (docs/adr/0015-row-level-security.md).
SELECT readapt_isolate('rate_buckets');
SELECT readapt_isolate('tenant_usage');
SELECT readapt_isolate('upload_reservations');
SELECT readapt_isolate('device_uses');
SELECT readapt_isolate('audit_entries');
SELECT readapt_isolate('rollout_tenant_counts');

-- These triggers keep counters, also those of all tenants together, which a tenant's statement must not reach by itself. So they
-- run as the owner of the tables, and find the tables in this schema alone, whatever the search path of the session is.
DO $$
DECLARE
  counting TEXT;
BEGIN
  FOREACH counting IN ARRAY ARRAY['readapt_count_jobs', 'readapt_count_usage', 'readapt_note_lease']
  LOOP
    EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', counting, current_schema());
  END LOOP;
END $$;
