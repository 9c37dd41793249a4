-- The fair order of adaptations (docs/adr/0023-fair-order.md). `start_tag` is when a job is to be started, in the virtual
-- time of start-time fair queueing; null for controls and for jobs that the version before has planned. In a rollout of limited concurrency,
-- `admission` is `waiting` for a job that is not in the queue until another one ends, and `admitted` for one that is. Null everywhere else.
ALTER TABLE "jobs" ADD COLUMN "start_tag" DOUBLE PRECISION;
ALTER TABLE "jobs" ADD COLUMN "admission" TEXT;

-- What is queued, and what waits to be admitted, in its order.
CREATE INDEX "jobs_start_tag_idx" ON "jobs" ("start_tag") WHERE "state" = 'queued' AND "admission" IS DISTINCT FROM 'waiting';
CREATE INDEX "jobs_tenant_id_start_tag_idx" ON "jobs" ("tenant_id", "start_tag")
  WHERE "state" = 'queued' AND "admission" IS DISTINCT FROM 'waiting';
CREATE INDEX "jobs_rollout_id_admission_start_tag_idx" ON "jobs" ("rollout_id", "admission", "start_tag") WHERE "admission" IS NOT NULL;
