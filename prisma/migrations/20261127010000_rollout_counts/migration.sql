-- How many jobs of a rollout are in each state, of all tenants and of each. Triggers keep the counts in the transaction that
-- changes the jobs, so that no statement can forget them and processes of the version before keep them too.
CREATE TABLE "rollout_counts" (
  "rollout_id" TEXT NOT NULL,
  "kind" "job_kind" NOT NULL,
  "state" "job_state" NOT NULL,
  "jobs" INTEGER NOT NULL,
  "unfinished" INTEGER NOT NULL,
  "baselines_pending" INTEGER NOT NULL,
  "changes" BIGINT NOT NULL DEFAULT 0,
  CONSTRAINT "rollout_counts_pkey" PRIMARY KEY ("rollout_id", "kind", "state"),
  CONSTRAINT "rollout_counts_rollout_id_fkey" FOREIGN KEY ("rollout_id") REFERENCES "rollouts" ("id")
    ON DELETE CASCADE ON UPDATE CASCADE
) WITH (fillfactor = 50);

CREATE TABLE "rollout_tenant_counts" (
  "rollout_id" TEXT NOT NULL,
  "tenant_id" TEXT NOT NULL,
  "kind" "job_kind" NOT NULL,
  "state" "job_state" NOT NULL,
  "jobs" INTEGER NOT NULL,
  "unfinished" INTEGER NOT NULL,
  "baselines_pending" INTEGER NOT NULL,
  "changes" BIGINT NOT NULL DEFAULT 0,
  CONSTRAINT "rollout_tenant_counts_pkey" PRIMARY KEY ("rollout_id", "tenant_id", "kind", "state"),
  CONSTRAINT "rollout_tenant_counts_rollout_id_fkey" FOREIGN KEY ("rollout_id") REFERENCES "rollouts" ("id")
    ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "rollout_tenant_counts_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id")
    ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX "rollout_tenant_counts_tenant_id_idx" ON "rollout_tenant_counts" ("tenant_id");

-- One transaction at a time changes the counts of a rollout: it holds the lock until it ends, and takes it after those of the
-- jobs. Rows of a fleet change in one statement, so this runs once for all of them.
CREATE FUNCTION readapt_count_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  deltas jsonb;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT jsonb_agg(d) INTO deltas FROM (
      SELECT rollout_id, tenant_id, kind, state, count(*) AS jobs, count(*) FILTER (WHERE finished_at IS NULL) AS unfinished,
        count(*) FILTER (WHERE baselines_pending) AS baselines_pending
      FROM new_jobs GROUP BY 1, 2, 3, 4) d;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT jsonb_agg(d) INTO deltas FROM (
      SELECT rollout_id, tenant_id, kind, state, -count(*) AS jobs, -count(*) FILTER (WHERE finished_at IS NULL) AS unfinished,
        -count(*) FILTER (WHERE baselines_pending) AS baselines_pending
      FROM old_jobs GROUP BY 1, 2, 3, 4) d;
  ELSE
    SELECT jsonb_agg(d) INTO deltas FROM (
      SELECT change.rollout_id, change.tenant_id, change.kind, change.state, sum(change.jobs) AS jobs,
        sum(CASE WHEN change.finished_at IS NULL THEN change.jobs ELSE 0 END) AS unfinished,
        sum(CASE WHEN change.baselines_pending THEN change.jobs ELSE 0 END) AS baselines_pending
      FROM old_jobs o JOIN new_jobs n ON n.id = o.id
      CROSS JOIN LATERAL (VALUES
        (o.rollout_id, o.tenant_id, o.kind, o.state, o.finished_at, o.baselines_pending, -1),
        (n.rollout_id, n.tenant_id, n.kind, n.state, n.finished_at, n.baselines_pending, 1)
      ) AS change (rollout_id, tenant_id, kind, state, finished_at, baselines_pending, jobs)
      WHERE (o.state, o.finished_at, o.baselines_pending, o.ttr_ms) IS DISTINCT FROM
        (n.state, n.finished_at, n.baselines_pending, n.ttr_ms)
      GROUP BY 1, 2, 3, 4) d;
  END IF;
  IF deltas IS NULL THEN RETURN NULL; END IF;

  PERFORM pg_advisory_xact_lock(hashtextextended('readapt.rollout_counts.' || d.rollout_id, 0))
  FROM (SELECT DISTINCT d ->> 'rollout_id' AS rollout_id FROM jsonb_array_elements(deltas) AS d ORDER BY 1) d;

  -- The counts of a rollout or tenant that is being deleted are gone before its jobs.
  INSERT INTO rollout_counts AS c (rollout_id, kind, state, jobs, unfinished, baselines_pending, changes)
  SELECT d.rollout_id, d.kind, d.state, sum(d.jobs), sum(d.unfinished), sum(d.baselines_pending), 1
  FROM jsonb_to_recordset(deltas) AS d (
    rollout_id text, kind job_kind, state job_state, jobs integer, unfinished integer, baselines_pending integer)
  WHERE EXISTS (SELECT 1 FROM rollouts r WHERE r.id = d.rollout_id)
  GROUP BY 1, 2, 3
  ON CONFLICT (rollout_id, kind, state) DO UPDATE SET jobs = c.jobs + EXCLUDED.jobs,
    unfinished = c.unfinished + EXCLUDED.unfinished, baselines_pending = c.baselines_pending + EXCLUDED.baselines_pending,
    changes = c.changes + 1;

  INSERT INTO rollout_tenant_counts AS c (rollout_id, tenant_id, kind, state, jobs, unfinished, baselines_pending, changes)
  SELECT d.rollout_id, d.tenant_id, d.kind, d.state, d.jobs, d.unfinished, d.baselines_pending, 1
  FROM jsonb_to_recordset(deltas) AS d (
    rollout_id text, tenant_id text, kind job_kind, state job_state, jobs integer, unfinished integer,
    baselines_pending integer)
  WHERE EXISTS (SELECT 1 FROM rollouts r WHERE r.id = d.rollout_id)
    AND EXISTS (SELECT 1 FROM tenants t WHERE t.id = d.tenant_id)
  ON CONFLICT (rollout_id, tenant_id, kind, state) DO UPDATE SET jobs = c.jobs + EXCLUDED.jobs,
    unfinished = c.unfinished + EXCLUDED.unfinished, baselines_pending = c.baselines_pending + EXCLUDED.baselines_pending,
    changes = c.changes + 1;
  RETURN NULL;
END $$;

CREATE TRIGGER jobs_count_inserted AFTER INSERT ON "jobs"
  REFERENCING NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_count_jobs();
CREATE TRIGGER jobs_count_updated AFTER UPDATE ON "jobs"
  REFERENCING OLD TABLE AS old_jobs NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_count_jobs();
CREATE TRIGGER jobs_count_deleted AFTER DELETE ON "jobs"
  REFERENCING OLD TABLE AS old_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_count_jobs();

-- The triggers above keep writers out until this migration has committed.
INSERT INTO rollout_counts (rollout_id, kind, state, jobs, unfinished, baselines_pending)
SELECT rollout_id, kind, state, count(*), count(*) FILTER (WHERE finished_at IS NULL), count(*) FILTER (WHERE baselines_pending)
FROM jobs GROUP BY 1, 2, 3;
INSERT INTO rollout_tenant_counts (rollout_id, tenant_id, kind, state, jobs, unfinished, baselines_pending)
SELECT rollout_id, tenant_id, kind, state, count(*), count(*) FILTER (WHERE finished_at IS NULL),
  count(*) FILTER (WHERE baselines_pending)
FROM jobs GROUP BY 1, 2, 3, 4;
