-- What the policy of a rollout bounds besides its waves. `deadline` is that of the policy, as a time; `deadline_missed_at` is when
-- somebody noticed that it had passed. `budget_from` is the use at which the rollout was resumed last after its budget was spent.
ALTER TABLE "rollouts" ADD COLUMN "deadline" TIMESTAMPTZ(6);
ALTER TABLE "rollouts" ADD COLUMN "deadline_missed_at" TIMESTAMPTZ(6);
ALTER TABLE "rollouts" ADD COLUMN "budget_from" DOUBLE PRECISION NOT NULL DEFAULT 0;

-- For how many seconds the jobs of a rollout have held a device: the sum of its rows of `device_uses`, which would have to be read
-- again at the end of each job. Like the counts of a rollout, a trigger keeps it, after the statement, so that its row is locked
-- after those of the jobs.
CREATE TABLE "rollout_device_uses" (
  "rollout_id" TEXT NOT NULL,
  "seconds" DOUBLE PRECISION NOT NULL,
  CONSTRAINT "rollout_device_uses_pkey" PRIMARY KEY ("rollout_id"),
  CONSTRAINT "rollout_device_uses_rollout_id_fkey" FOREIGN KEY ("rollout_id") REFERENCES "rollouts" ("id")
    ON DELETE CASCADE ON UPDATE CASCADE
);

CREATE FUNCTION readapt_sum_device_uses() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  now_at TIMESTAMPTZ := clock_timestamp();
BEGIN
  INSERT INTO rollout_device_uses AS u (rollout_id, seconds)
  SELECT o.rollout_id, sum(EXTRACT(EPOCH FROM GREATEST(o.leased_at, LEAST(now_at, o.lease_expires_at)) - o.leased_at))
  FROM old_jobs o JOIN new_jobs n ON n.id = o.id
  WHERE o.lease_owner IS NOT NULL AND o.leased_at IS NOT NULL AND o.lease_owner IS DISTINCT FROM n.lease_owner
    AND EXISTS (SELECT 1 FROM rollouts r WHERE r.id = o.rollout_id)
  GROUP BY o.rollout_id ORDER BY o.rollout_id
  ON CONFLICT (rollout_id) DO UPDATE SET seconds = u.seconds + EXCLUDED.seconds;
  RETURN NULL;
END $$;
CREATE TRIGGER jobs_sum_device_uses AFTER UPDATE ON "jobs"
  REFERENCING OLD TABLE AS old_jobs NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_sum_device_uses();

-- The trigger above keeps writers out until this migration has committed.
INSERT INTO rollout_device_uses (rollout_id, seconds)
SELECT j.rollout_id, sum(EXTRACT(EPOCH FROM u.ended_at - u.started_at))
FROM device_uses u JOIN jobs j ON j.id = u.job_id GROUP BY 1;

-- It runs as the owner of the table, as the other counters do, because a cancellation by a tenant ends a use, too.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION readapt_sum_device_uses() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END $$;
