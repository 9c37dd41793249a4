-- A rollout to a newer base model version takes the adapters of one to an older version that still goes on
-- (docs/adr/0024-succession.md). `superseded_by_id` is the last rollout that has done so.
ALTER TABLE "rollouts" ADD COLUMN "superseded_by_id" TEXT;
CREATE INDEX "rollouts_superseded_by_id_idx" ON "rollouts" ("superseded_by_id");
ALTER TABLE "rollouts" ADD CONSTRAINT "rollouts_superseded_by_id_fkey"
  FOREIGN KEY ("superseded_by_id") REFERENCES "rollouts" ("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- Jobs that are held until a job to an older version has ended. That one has no foreign key: what waits for a job that is gone
-- has to be found. It is a table of its own, because few jobs wait, and each index of `jobs` costs every heartbeat.
CREATE TABLE "job_waits" (
  "job_id" TEXT NOT NULL,
  "tenant_id" TEXT NOT NULL,
  "rollout_id" TEXT NOT NULL,
  "waits_for_job_id" TEXT NOT NULL,
  CONSTRAINT "job_waits_pkey" PRIMARY KEY ("job_id")
);
CREATE INDEX "job_waits_rollout_id_job_id_idx" ON "job_waits" ("rollout_id", "job_id");
CREATE INDEX "job_waits_waits_for_job_id_idx" ON "job_waits" ("waits_for_job_id");
ALTER TABLE "job_waits" ADD CONSTRAINT "job_waits_job_id_fkey"
  FOREIGN KEY ("job_id") REFERENCES "jobs" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
SELECT readapt_isolate('job_waits');
