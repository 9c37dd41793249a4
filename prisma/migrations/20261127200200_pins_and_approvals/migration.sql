-- What a tenant says of the rollouts of its adapters (docs/rollouts.md): the base model version to which an adapter is pinned, so that no
-- rollout to another one takes it, and whether its jobs wait for the tenant's `approval` (`none` or `tenant`).
ALTER TABLE "adapters" ADD COLUMN "pinned_base_model_version_id" TEXT;
ALTER TABLE "adapters" ADD COLUMN "approval" TEXT NOT NULL DEFAULT 'none';
ALTER TABLE "adapters" ADD CONSTRAINT "adapters_pinned_base_model_version_id_fkey"
  FOREIGN KEY ("pinned_base_model_version_id") REFERENCES "base_model_versions" ("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- `awaited` until the tenant has approved the job, then `given`; null where no approval is asked for.
ALTER TABLE "jobs" ADD COLUMN "approval" TEXT;

-- How many adapters of the base model were left out when the planning began, by reason.
ALTER TABLE "rollouts" ADD COLUMN "left_out" JSONB;
