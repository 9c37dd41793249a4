-- Attempts that end because the worker stops or its machine fails are not counted against the limit of attempts, and the
-- attempts of an analysis are counted.
ALTER TABLE "jobs" ADD COLUMN "excused_attempts" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "rollouts"
  ADD COLUMN "attempt" INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN "excused_attempts" INTEGER NOT NULL DEFAULT 0;
