-- Row-level security for what tenants own (docs/adr/0015-row-level-security.md). It confines the role `readapt_tenant`, which is
-- created, and granted what it needs, after the migrations at each start, because whoever migrates may not be allowed to create
-- roles. It does not confine the owner of the tables, as whom operators' requests, workers and migrations run.

-- A table that is added later and holds rows of tenants needs this, too: a test looks for a column tenant_id without it.
CREATE FUNCTION readapt_isolate("isolated" regclass, "owner_column" name DEFAULT 'tenant_id') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', "isolated");
  -- Without a tenant the setting is null or empty, and no row is visible. In a subquery it is read once for each statement. The
  -- CASE keeps the planner from looking for the tenant's rows by the policy, since it takes all tenants for equally large: it
  -- would read all rows of a large tenant to find a few by their identifiers.
  EXECUTE format(
    'CREATE POLICY readapt_own_rows ON %s USING (
       CASE WHEN %I = (SELECT current_setting(''readapt.tenant_id'', true)) THEN true ELSE false END)',
    "isolated", "owner_column");
END $$;

SELECT readapt_isolate('tenants', 'id');
SELECT readapt_isolate('idempotency_records', 'principal');
SELECT readapt_isolate('api_keys');
SELECT readapt_isolate('datasets');
SELECT readapt_isolate('adapters');
SELECT readapt_isolate('adapter_versions');
SELECT readapt_isolate('gate_outcomes');
SELECT readapt_isolate('jobs');
SELECT readapt_isolate('metric_points');
SELECT readapt_isolate('search_evaluations');
SELECT readapt_isolate('events');

-- The first transaction that was still running when the statement took its snapshot. It runs as the owner, because PostgreSQL
-- hides from other roles which database a session belongs to, and tenants would then wait for transactions of other databases.
CREATE FUNCTION readapt_first_running() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT COALESCE(min(running::text::bigint), pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
  FROM pg_snapshot_xip(pg_current_snapshot()) AS running
  WHERE NOT EXISTS (
    SELECT 1 FROM pg_stat_activity WHERE datname <> current_database() AND backend_xid = running::xid
  )
$$;
