-- What the adaptations of a wave that have ended and were not cancelled have come to, by which `pause_if` judges the wave. The end of
-- each job would otherwise read all those that ended before. Triggers keep it in the transaction that changes the jobs, so that no
-- statement can forget it and processes of the version before keep it too. Sums are decimal: what is added and taken away again
-- leaves nothing behind.
CREATE TABLE "wave_figures" (
  "rollout_id" TEXT NOT NULL,
  "wave" INTEGER NOT NULL,
  "ended" INTEGER NOT NULL,
  "unready" INTEGER NOT NULL,
  "metric_drops" INTEGER NOT NULL,
  "metric_drop_sum" DECIMAL(65,30) NOT NULL,
  "negative_flips" INTEGER NOT NULL,
  "negative_flips_sum" DECIMAL(65,30) NOT NULL,
  CONSTRAINT "wave_figures_pkey" PRIMARY KEY ("rollout_id", "wave"),
  CONSTRAINT "wave_figures_rollout_id_fkey" FOREIGN KEY ("rollout_id") REFERENCES "rollouts" ("id")
    ON DELETE CASCADE ON UPDATE CASCADE
) WITH (fillfactor = 50);

-- It runs after `jobs_count_*`, in the order of their names, which let one transaction at a time change the figures of a rollout.
CREATE FUNCTION readapt_sum_waves() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changes jsonb;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT jsonb_agg(c) INTO changes FROM (
      SELECT rollout_id, wave, state, metric_name, metric_old, metric_best, negative_flips, 1 AS sign
      FROM new_jobs WHERE finished_at IS NOT NULL AND wave IS NOT NULL AND kind = 'adaptation' AND state <> 'cancelled') c;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT jsonb_agg(c) INTO changes FROM (
      SELECT rollout_id, wave, state, metric_name, metric_old, metric_best, negative_flips, -1 AS sign
      FROM old_jobs WHERE finished_at IS NOT NULL AND wave IS NOT NULL AND kind = 'adaptation' AND state <> 'cancelled') c;
  ELSE
    SELECT jsonb_agg(c) INTO changes FROM (
      SELECT c.rollout_id, c.wave, c.state, c.metric_name, c.metric_old, c.metric_best, c.negative_flips, c.sign
      FROM old_jobs o JOIN new_jobs n ON n.id = o.id
      CROSS JOIN LATERAL (VALUES
        (o.rollout_id, o.wave, o.state, o.finished_at, o.metric_name, o.metric_old, o.metric_best, o.negative_flips, -1),
        (n.rollout_id, n.wave, n.state, n.finished_at, n.metric_name, n.metric_old, n.metric_best, n.negative_flips, 1)
      ) AS c (rollout_id, wave, state, finished_at, metric_name, metric_old, metric_best, negative_flips, sign)
      WHERE n.kind = 'adaptation'
        AND (o.wave, o.state, o.finished_at IS NULL, o.metric_name, o.metric_old, o.metric_best, o.negative_flips) IS DISTINCT FROM
          (n.wave, n.state, n.finished_at IS NULL, n.metric_name, n.metric_old, n.metric_best, n.negative_flips)
        AND c.finished_at IS NOT NULL AND c.wave IS NOT NULL AND c.state <> 'cancelled') c;
  END IF;
  IF changes IS NULL THEN RETURN NULL; END IF;

  -- The figures of a rollout that is being deleted are gone before its jobs.
  INSERT INTO wave_figures AS f
    (rollout_id, wave, ended, unready, metric_drops, metric_drop_sum, negative_flips, negative_flips_sum)
  SELECT c.rollout_id, c.wave, sum(c.sign), COALESCE(sum(c.sign) FILTER (WHERE c.state IN ('not_ready', 'failed')), 0),
    COALESCE(sum(c.sign) FILTER (WHERE c.is_ready AND c.metric_drop IS NOT NULL), 0),
    COALESCE(sum(c.sign * c.metric_drop) FILTER (WHERE c.is_ready), 0),
    COALESCE(sum(c.sign) FILTER (WHERE c.is_ready AND c.negative_flips IS NOT NULL), 0),
    COALESCE(sum(c.sign * c.negative_flips) FILTER (WHERE c.is_ready), 0)
  FROM (
    SELECT j.rollout_id, j.wave, j.sign, j.state, j.state = 'ready' AS is_ready, j.negative_flips,
      CASE WHEN j.metric_name <> 'loss' THEN j.metric_old - j.metric_best END AS metric_drop
    FROM jsonb_to_recordset(changes) AS j (
      rollout_id text, wave integer, state job_state, metric_name text, metric_old decimal, metric_best decimal,
      negative_flips decimal, sign integer)
  ) AS c
  WHERE EXISTS (SELECT 1 FROM rollouts r WHERE r.id = c.rollout_id)
  GROUP BY c.rollout_id, c.wave ORDER BY c.rollout_id, c.wave
  ON CONFLICT (rollout_id, wave) DO UPDATE SET ended = f.ended + EXCLUDED.ended, unready = f.unready + EXCLUDED.unready,
    metric_drops = f.metric_drops + EXCLUDED.metric_drops, metric_drop_sum = f.metric_drop_sum + EXCLUDED.metric_drop_sum,
    negative_flips = f.negative_flips + EXCLUDED.negative_flips,
    negative_flips_sum = f.negative_flips_sum + EXCLUDED.negative_flips_sum;
  RETURN NULL;
END $$;

CREATE TRIGGER jobs_sum_waves_inserted AFTER INSERT ON "jobs"
  REFERENCING NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_sum_waves();
CREATE TRIGGER jobs_sum_waves_updated AFTER UPDATE ON "jobs"
  REFERENCING OLD TABLE AS old_jobs NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_sum_waves();
CREATE TRIGGER jobs_sum_waves_deleted AFTER DELETE ON "jobs"
  REFERENCING OLD TABLE AS old_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_sum_waves();

-- The triggers above keep writers out until this migration has committed.
UPDATE jobs j SET negative_flips = (
  SELECT (v.metrics ->> 'negative_flips')::float8 FROM adapter_versions v WHERE v.job_id = j.id AND NOT v.provisional
  ORDER BY v.number DESC LIMIT 1)
FROM rollouts r
WHERE r.id = j.rollout_id AND r.options -> 'policy' -> 'pause_if' -> 'negative_flips' IS NOT NULL
  AND j.kind = 'adaptation' AND j.state = 'ready' AND j.finished_at IS NOT NULL AND j.wave IS NOT NULL;
-- The update above was summed by the triggers, and the jobs before it were not.
DELETE FROM wave_figures;
INSERT INTO wave_figures
  (rollout_id, wave, ended, unready, metric_drops, metric_drop_sum, negative_flips, negative_flips_sum)
SELECT rollout_id, wave, count(*), count(*) FILTER (WHERE state IN ('not_ready', 'failed')), count(metric_drop),
  COALESCE(sum(metric_drop), 0), count(flips), COALESCE(sum(flips), 0)
FROM (
  SELECT rollout_id, wave, state,
    CASE WHEN state = 'ready' AND metric_name <> 'loss' THEN metric_old::text::decimal - metric_best::text::decimal END AS metric_drop,
    CASE WHEN state = 'ready' THEN negative_flips::text::decimal END AS flips
  FROM jobs WHERE kind = 'adaptation' AND finished_at IS NOT NULL AND state <> 'cancelled' AND wave IS NOT NULL
) AS ended
GROUP BY rollout_id, wave;

-- It runs as the owner of the table, as the other counters do, because a cancellation by a tenant ends a job, too.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION readapt_sum_waves() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END $$;
