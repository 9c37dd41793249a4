-- Versions that nobody has measured, which serve an adapter on a new base until one is published (docs/adr/0025-provisional-versions.md).
-- They are superseded, too, so that no process takes one for the adapter's latest version.
ALTER TABLE "adapter_versions" ADD COLUMN "provisional" BOOLEAN NOT NULL DEFAULT false;

-- Jobs whose adapters are to get one. A row is removed in the transaction of the version, or when none can be made. `attempt` counts how
-- often that was begun, so that an adapter that kills its worker does not hold up the rollout for ever.
CREATE TABLE "provisional_requests" (
  "job_id" TEXT NOT NULL,
  "rollout_id" TEXT NOT NULL,
  "attempt" INTEGER NOT NULL DEFAULT 0,
  CONSTRAINT "provisional_requests_pkey" PRIMARY KEY ("job_id")
);
CREATE INDEX "provisional_requests_rollout_id_job_id_idx" ON "provisional_requests" ("rollout_id", "job_id");
ALTER TABLE "provisional_requests" ADD CONSTRAINT "provisional_requests_job_id_fkey"
  FOREIGN KEY ("job_id") REFERENCES "jobs" ("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- As before, and a provisional version becomes current only where there was never another one, comes from before all others, and is
-- nothing to go back to.
CREATE OR REPLACE FUNCTION readapt_make_current() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  source INTEGER := COALESCE((SELECT p.number FROM adapter_versions p WHERE p.id = NEW.parent_version_id), NEW.number);
BEGIN
  IF NEW.provisional THEN
    INSERT INTO current_versions (adapter_id, base_model_version_id, tenant_id, adapter_version_id, source_number, changed_at)
    VALUES (NEW.adapter_id, NEW.base_model_version_id, NEW.tenant_id, NEW.id, 0, clock_timestamp())
    ON CONFLICT (adapter_id, base_model_version_id) DO NOTHING;
    RETURN NULL;
  END IF;
  INSERT INTO current_versions AS c (adapter_id, base_model_version_id, tenant_id, adapter_version_id, source_number, changed_at)
  VALUES (NEW.adapter_id, NEW.base_model_version_id, NEW.tenant_id, NEW.id, source, clock_timestamp())
  ON CONFLICT (adapter_id, base_model_version_id) DO UPDATE SET
    -- What a job publishes one after the other takes the place of what was current before its first publication.
    previous_version_id = CASE
      WHEN EXISTS (
        SELECT FROM adapter_versions v WHERE v.id = c.adapter_version_id AND (v.job_id = NEW.job_id OR v.provisional))
      THEN c.previous_version_id ELSE c.adapter_version_id END,
    adapter_version_id = EXCLUDED.adapter_version_id, source_number = EXCLUDED.source_number, held_job_id = NULL,
    changed_at = EXCLUDED.changed_at
  WHERE EXCLUDED.source_number >= c.source_number AND (NEW.job_id IS NULL OR c.held_job_id IS DISTINCT FROM NEW.job_id);
  RETURN NULL;
END $$;
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION readapt_make_current() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END $$;
