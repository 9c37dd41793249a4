-- What a pause keeps in the rollout and in its jobs. `held_waiting_ms` and `held_analyzing_ms` are the times of earlier pauses before
-- the analysis and during it, which the jobs that are planned later count as `held`. While `jobs_follow`, jobs are still to be
-- paused or resumed with their rollout.
ALTER TABLE "rollouts" ADD COLUMN "paused_at" TIMESTAMPTZ(6);
ALTER TABLE "rollouts" ADD COLUMN "paused_reason" JSONB;
ALTER TABLE "rollouts" ADD COLUMN "jobs_follow" BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE "rollouts" ADD COLUMN "held_waiting_ms" DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE "rollouts" ADD COLUMN "held_analyzing_ms" DOUBLE PRECISION NOT NULL DEFAULT 0;

-- `paused_by` is `job` where somebody has paused the job itself, and `rollout` where it only follows its rollout.
ALTER TABLE "jobs" ADD COLUMN "held_ms" DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE "jobs" ADD COLUMN "paused_at" TIMESTAMPTZ(6);
ALTER TABLE "jobs" ADD COLUMN "paused_by" TEXT;
-- The number of the last attempt before the job was tried again, whose checkpoints count no more.
ALTER TABLE "jobs" ADD COLUMN "retried_after" INTEGER NOT NULL DEFAULT 0;
