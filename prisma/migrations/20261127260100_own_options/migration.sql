-- The options that a job was retried with, in place of those of its rollout. A worker of the version before does not know them, except
-- for the strategy.
ALTER TABLE "jobs" ADD COLUMN "own_options" JSONB;
