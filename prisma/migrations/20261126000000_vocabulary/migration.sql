-- Gives tables, columns, event types and stored values the names of docs/glossary.md, keeping all data, and drops what
-- no code uses: webhooks, checkpoint_path and the state `paused`. Stored idempotent answers stay as they were given.

-- Base model versions
ALTER TYPE "base_version_state" RENAME TO "base_model_version_state";
ALTER TABLE "base_versions" RENAME TO "base_model_versions";
ALTER TABLE "base_model_versions" RENAME CONSTRAINT "base_versions_pkey" TO "base_model_versions_pkey";
ALTER TABLE "base_model_versions" RENAME CONSTRAINT "base_versions_base_model_id_fkey" TO "base_model_versions_base_model_id_fkey";
ALTER INDEX "base_versions_base_model_id_version_key" RENAME TO "base_model_versions_base_model_id_version_key";

ALTER TABLE "adapter_versions" RENAME COLUMN "base_version_id" TO "base_model_version_id";
ALTER TABLE "adapter_versions" RENAME CONSTRAINT "adapter_versions_base_version_id_fkey" TO "adapter_versions_base_model_version_id_fkey";
ALTER INDEX "adapter_versions_base_version_id_idx" RENAME TO "adapter_versions_base_model_version_id_idx";

ALTER TABLE "rollouts" RENAME COLUMN "base_version_id" TO "base_model_version_id";
ALTER TABLE "rollouts" RENAME CONSTRAINT "rollouts_base_version_id_fkey" TO "rollouts_base_model_version_id_fkey";

ALTER TABLE "evolutions" RENAME COLUMN "from_version_id" TO "old_base_model_version_id";
ALTER TABLE "evolutions" RENAME COLUMN "to_version_id" TO "new_base_model_version_id";
ALTER TABLE "evolutions" RENAME CONSTRAINT "evolutions_from_version_id_fkey" TO "evolutions_old_base_model_version_id_fkey";
ALTER TABLE "evolutions" RENAME CONSTRAINT "evolutions_to_version_id_fkey" TO "evolutions_new_base_model_version_id_fkey";
-- PostgreSQL's names have at most 63 bytes, so Prisma shortens this one.
ALTER INDEX "evolutions_from_version_id_to_version_id_key" RENAME TO "evolutions_old_base_model_version_id_new_base_model_version_key";

-- LoRA's alpha, the fusion coefficients α and β, and the metric of the new base without an adapter
ALTER TABLE "adapter_versions" RENAME COLUMN "alpha" TO "lora_alpha";
ALTER TABLE "search_evaluations" RENAME COLUMN "alpha" TO "fusion_alpha";
ALTER TABLE "search_evaluations" RENAME COLUMN "beta" TO "fusion_beta";
ALTER TABLE "jobs" RENAME COLUMN "metric_no_adapter" TO "metric_none";

-- What no code reads or writes. A row cannot be paused, since nothing ever set that state.
DROP TABLE "webhook_deliveries";
DROP TABLE "webhooks";
DROP TYPE "delivery_state";
ALTER TABLE "rollouts" DROP COLUMN "paused_from";
ALTER TABLE "jobs" DROP COLUMN "paused_from", DROP COLUMN "checkpoint_path";

ALTER TYPE "rollout_state" RENAME TO "rollout_state_old";
CREATE TYPE "rollout_state" AS ENUM ('planning', 'analyzing', 'adapting', 'completed', 'failed', 'cancelled');
ALTER TABLE "rollouts" ALTER COLUMN "state" DROP DEFAULT,
  ALTER COLUMN "state" TYPE "rollout_state" USING "state"::text::"rollout_state",
  ALTER COLUMN "state" SET DEFAULT 'planning';
DROP TYPE "rollout_state_old";

ALTER TYPE "job_state" RENAME TO "job_state_old";
CREATE TYPE "job_state" AS ENUM ('queued', 'preparing', 'initializing', 'fine_tuning', 'evaluating', 'ready', 'not_ready', 'failed', 'cancelled');
ALTER TABLE "jobs" ALTER COLUMN "state" DROP DEFAULT,
  ALTER COLUMN "state" TYPE "job_state" USING "state"::text::"job_state",
  ALTER COLUMN "state" SET DEFAULT 'queued';
DROP TYPE "job_state_old";

-- Values within JSON. The helper renames the members of an object, at its top level only.
CREATE FUNCTION "renamed_members"("value" jsonb, "names" jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE jsonb_typeof("value") WHEN 'object' THEN
    (SELECT coalesce(jsonb_object_agg(coalesce("names" ->> "key", "key"), "member"), '{}') FROM jsonb_each("value") AS m("key", "member"))
  ELSE "value" END
$$;

UPDATE "datasets" SET "splits" = "renamed_members"("splits", '{"train": "training", "validation": "search", "test": "gate"}');

UPDATE "rollouts" SET "options" = "renamed_members"("options", '{
  "regularise_towards": "regularize_towards", "regularise_space": "regularize_space",
  "regularise_schedule": "regularize_schedule", "regularise_strength": "regularize_strength"
}');
UPDATE "rollouts" SET "options" = jsonb_set("options", '{prefer}', '"old_behavior"') WHERE "options" ->> 'prefer' = 'old_behaviour';

-- The problems of rows and of events
CREATE FUNCTION "renamed_problem"("problem" jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN "codes" ? ("renamed" ->> 'code')
    THEN jsonb_set("renamed", '{code}', "codes" -> ("renamed" ->> 'code')) ELSE "renamed" END
  FROM (SELECT "renamed_members"("problem", '{"base_version_id": "base_model_version_id"}') AS "renamed", '{
    "base_version_changed": "base_model_version_changed",
    "incompatible_base": "incompatible_base_model_versions",
    "incompatible_base_versions": "incompatible_base_model_versions"
  }'::jsonb AS "codes") AS r
$$;

UPDATE "base_model_versions" SET "error" = "renamed_problem"("error") WHERE "error" IS NOT NULL;
UPDATE "rollouts" SET "error" = "renamed_problem"("error") WHERE "error" IS NOT NULL;
UPDATE "jobs" SET "error" = "renamed_problem"("error") WHERE "error" IS NOT NULL;
UPDATE "events" SET "data" = jsonb_set("data", '{error}', "renamed_problem"("data" -> 'error')) WHERE "data" ? 'error';

UPDATE "events" SET "type" = 'base_model_version.' || split_part("type", '.', 2) WHERE "type" LIKE 'base\_version.%';
UPDATE "events" SET "data" = "renamed_members"("data", '{
  "base_version_id": "base_model_version_id",
  "from_version_id": "old_base_model_version_id", "to_version_id": "new_base_model_version_id"
}') WHERE "type" IN ('rollout.accepted', 'evolution.ready');
UPDATE "events" SET "data" = "renamed_members"("data", '{"base_model": "base_model_name"}') WHERE "type" = 'base_model_version.registered';
UPDATE "events" SET "data" = "renamed_members"("data", '{"alpha": "lora_alpha"}') WHERE "type" = 'adapter_version.imported';
UPDATE "events" SET "data" = "renamed_members"("data", '{"version_id": "published_version_id"}') WHERE "type" = 'job.ready';

DROP FUNCTION "renamed_problem";
DROP FUNCTION "renamed_members";
