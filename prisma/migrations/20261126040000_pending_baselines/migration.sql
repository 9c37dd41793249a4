-- Baselines that only the report needs are measured after the fleet, in the precision that the job has chosen.
ALTER TABLE "jobs"
  ADD COLUMN "precision" TEXT,
  ADD COLUMN "baselines_pending" BOOLEAN NOT NULL DEFAULT false;
