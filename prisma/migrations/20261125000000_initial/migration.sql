-- CreateEnum
CREATE TYPE "base_version_state" AS ENUM ('registered', 'verified', 'failed');

-- CreateEnum
CREATE TYPE "evolution_state" AS ENUM ('pending', 'ready', 'failed');

-- CreateEnum
CREATE TYPE "rollout_state" AS ENUM ('planning', 'analyzing', 'adapting', 'paused', 'completed', 'failed', 'cancelled');

-- CreateEnum
CREATE TYPE "job_state" AS ENUM ('queued', 'preparing', 'initializing', 'fine_tuning', 'evaluating', 'paused', 'ready', 'not_ready', 'failed', 'cancelled');

-- CreateEnum
CREATE TYPE "job_phase" AS ENUM ('queue_wait', 'prepare', 'evolution', 'initialize', 'fine_tune', 'evaluate', 'publish');

-- CreateEnum
CREATE TYPE "job_kind" AS ENUM ('adaptation', 'control');

-- CreateEnum
CREATE TYPE "delivery_state" AS ENUM ('pending', 'delivered', 'failed');

-- CreateTable
CREATE TABLE "tenants" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "tenants_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "api_keys" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT,
    "name" TEXT NOT NULL,
    "prefix" TEXT NOT NULL,
    "secret_hash" TEXT NOT NULL,
    "scopes" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "last_used_at" TIMESTAMPTZ(3),
    "expires_at" TIMESTAMPTZ(3),
    "revoked_at" TIMESTAMPTZ(3),

    CONSTRAINT "api_keys_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "idempotency_records" (
    "principal" TEXT NOT NULL,
    "key" TEXT NOT NULL,
    "request_hash" TEXT NOT NULL,
    "status_code" INTEGER,
    "response" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "idempotency_records_pkey" PRIMARY KEY ("principal","key")
);

-- CreateTable
CREATE TABLE "artifacts" (
    "digest" TEXT NOT NULL,
    "kind" TEXT NOT NULL,
    "bytes" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "artifacts_pkey" PRIMARY KEY ("digest")
);

-- CreateTable
CREATE TABLE "base_models" (
    "id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "base_models_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "base_versions" (
    "id" TEXT NOT NULL,
    "base_model_id" TEXT NOT NULL,
    "version" TEXT NOT NULL,
    "path" TEXT NOT NULL,
    "state" "base_version_state" NOT NULL DEFAULT 'registered',
    "fingerprint" TEXT,
    "config" JSONB,
    "parameters" BIGINT,
    "error" JSONB,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "base_versions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "evolutions" (
    "id" TEXT NOT NULL,
    "from_version_id" TEXT NOT NULL,
    "to_version_id" TEXT NOT NULL,
    "state" "evolution_state" NOT NULL DEFAULT 'pending',
    "rank" INTEGER,
    "drift" DOUBLE PRECISION,
    "summary" JSONB,
    "differences" JSONB,
    "artifact_digest" TEXT,
    "compute_ms" DOUBLE PRECISION,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "evolutions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "datasets" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "artifact_digest" TEXT NOT NULL,
    "rows" INTEGER NOT NULL,
    "bytes" BIGINT NOT NULL,
    "splits" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "datasets_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "adapters" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "base_model_id" TEXT NOT NULL,
    "dataset_id" TEXT,
    "name" TEXT NOT NULL,
    "metric" TEXT NOT NULL,
    "gate" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "adapters_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "adapter_versions" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "adapter_id" TEXT NOT NULL,
    "base_version_id" TEXT NOT NULL,
    "parent_version_id" TEXT,
    "number" INTEGER NOT NULL,
    "origin" TEXT NOT NULL,
    "artifact_digest" TEXT NOT NULL,
    "rank" INTEGER NOT NULL,
    "alpha" DOUBLE PRECISION NOT NULL,
    "strategy" TEXT,
    "fusion_alpha" DOUBLE PRECISION,
    "fusion_beta" DOUBLE PRECISION,
    "metrics" JSONB,
    "job_id" TEXT,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "adapter_versions_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "rollouts" (
    "id" TEXT NOT NULL,
    "base_version_id" TEXT NOT NULL,
    "state" "rollout_state" NOT NULL DEFAULT 'planning',
    "paused_from" "rollout_state",
    "options" JSONB NOT NULL,
    "error" JSONB,
    "accepted_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "analysis_started_at" TIMESTAMPTZ(6),
    "planned_at" TIMESTAMPTZ(6),
    "finished_at" TIMESTAMPTZ(6),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "rollouts_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "jobs" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "rollout_id" TEXT NOT NULL,
    "adapter_id" TEXT NOT NULL,
    "source_version_id" TEXT NOT NULL,
    "kind" "job_kind" NOT NULL DEFAULT 'adaptation',
    "state" "job_state" NOT NULL DEFAULT 'queued',
    "paused_from" "job_state",
    "strategy" TEXT NOT NULL,
    "won_strategy" TEXT,
    "fusion_alpha" DOUBLE PRECISION,
    "fusion_beta" DOUBLE PRECISION,
    "step" INTEGER NOT NULL DEFAULT 0,
    "total_steps" INTEGER NOT NULL DEFAULT 0,
    "metric_name" TEXT NOT NULL,
    "metric_target" DOUBLE PRECISION,
    "metric_old" DOUBLE PRECISION,
    "metric_no_adapter" DOUBLE PRECISION,
    "metric_copy" DOUBLE PRECISION,
    "metric_best" DOUBLE PRECISION,
    "error" JSONB,
    "attempt" INTEGER NOT NULL DEFAULT 0,
    "lease_owner" TEXT,
    "lease_expires_at" TIMESTAMPTZ(6),
    "checkpoint_path" TEXT,
    "phase" "job_phase" NOT NULL DEFAULT 'queue_wait',
    "phase_since" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "queue_wait_ms" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "prepare_ms" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "evolution_ms" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "initialize_ms" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "fine_tune_ms" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "evaluate_ms" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "publish_ms" DOUBLE PRECISION NOT NULL DEFAULT 0,
    "ttr_ms" DOUBLE PRECISION,
    "created_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "started_at" TIMESTAMPTZ(6),
    "ready_at" TIMESTAMPTZ(6),
    "finished_at" TIMESTAMPTZ(6),
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "jobs_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "metric_points" (
    "id" BIGSERIAL NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "step" INTEGER NOT NULL,
    "value" DOUBLE PRECISION NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "metric_points_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "search_evaluations" (
    "job_id" TEXT NOT NULL,
    "index" INTEGER NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "alpha" DOUBLE PRECISION NOT NULL,
    "beta" DOUBLE PRECISION NOT NULL,
    "loss" DOUBLE PRECISION NOT NULL,
    "duration_ms" DOUBLE PRECISION NOT NULL,

    CONSTRAINT "search_evaluations_pkey" PRIMARY KEY ("job_id","index")
);

-- CreateTable
CREATE TABLE "events" (
    "seq" BIGSERIAL NOT NULL,
    "id" TEXT NOT NULL,
    "tenant_id" TEXT,
    "type" TEXT NOT NULL,
    "subject_id" TEXT NOT NULL,
    "data" JSONB NOT NULL,
    "occurred_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "events_pkey" PRIMARY KEY ("seq")
);

-- CreateTable
CREATE TABLE "outbox" (
    "id" BIGSERIAL NOT NULL,
    "queue" TEXT NOT NULL,
    "job_id" TEXT NOT NULL,
    "payload" JSONB NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "outbox_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "webhooks" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "url" TEXT NOT NULL,
    "secret" TEXT NOT NULL,
    "event_types" TEXT[],
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "disabled_at" TIMESTAMPTZ(3),

    CONSTRAINT "webhooks_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "webhook_deliveries" (
    "id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "webhook_id" TEXT NOT NULL,
    "event_id" TEXT NOT NULL,
    "state" "delivery_state" NOT NULL DEFAULT 'pending',
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "last_status_code" INTEGER,
    "last_error" TEXT,
    "next_attempt_at" TIMESTAMPTZ(3),
    "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "webhook_deliveries_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "tenants_name_key" ON "tenants"("name");

-- CreateIndex
CREATE UNIQUE INDEX "api_keys_prefix_key" ON "api_keys"("prefix");

-- CreateIndex
CREATE INDEX "api_keys_tenant_id_idx" ON "api_keys"("tenant_id");

-- CreateIndex
CREATE INDEX "idempotency_records_created_at_idx" ON "idempotency_records"("created_at");

-- CreateIndex
CREATE UNIQUE INDEX "base_models_name_key" ON "base_models"("name");

-- CreateIndex
CREATE UNIQUE INDEX "base_versions_base_model_id_version_key" ON "base_versions"("base_model_id", "version");

-- CreateIndex
CREATE UNIQUE INDEX "evolutions_from_version_id_to_version_id_key" ON "evolutions"("from_version_id", "to_version_id");

-- CreateIndex
CREATE UNIQUE INDEX "datasets_tenant_id_name_key" ON "datasets"("tenant_id", "name");

-- CreateIndex
CREATE UNIQUE INDEX "adapters_tenant_id_name_key" ON "adapters"("tenant_id", "name");

-- CreateIndex
CREATE INDEX "adapters_base_model_id_idx" ON "adapters"("base_model_id");

-- CreateIndex
CREATE UNIQUE INDEX "adapter_versions_adapter_id_number_key" ON "adapter_versions"("adapter_id", "number");

-- CreateIndex
CREATE INDEX "adapter_versions_tenant_id_idx" ON "adapter_versions"("tenant_id");

-- CreateIndex
CREATE INDEX "adapter_versions_base_version_id_idx" ON "adapter_versions"("base_version_id");

-- CreateIndex
CREATE INDEX "rollouts_state_idx" ON "rollouts"("state");

-- CreateIndex
CREATE UNIQUE INDEX "jobs_rollout_id_adapter_id_kind_key" ON "jobs"("rollout_id", "adapter_id", "kind");

-- CreateIndex
CREATE INDEX "jobs_tenant_id_updated_at_idx" ON "jobs"("tenant_id", "updated_at");

-- CreateIndex
CREATE INDEX "jobs_rollout_id_state_idx" ON "jobs"("rollout_id", "state");

-- CreateIndex
CREATE INDEX "jobs_state_lease_expires_at_idx" ON "jobs"("state", "lease_expires_at");

-- CreateIndex
CREATE UNIQUE INDEX "metric_points_job_id_name_step_key" ON "metric_points"("job_id", "name", "step");

-- CreateIndex
CREATE UNIQUE INDEX "events_id_key" ON "events"("id");

-- CreateIndex
CREATE INDEX "events_tenant_id_seq_idx" ON "events"("tenant_id", "seq");

-- CreateIndex
CREATE INDEX "events_subject_id_seq_idx" ON "events"("subject_id", "seq");

-- CreateIndex
CREATE UNIQUE INDEX "outbox_queue_job_id_key" ON "outbox"("queue", "job_id");

-- CreateIndex
CREATE INDEX "webhooks_tenant_id_idx" ON "webhooks"("tenant_id");

-- CreateIndex
CREATE UNIQUE INDEX "webhook_deliveries_webhook_id_event_id_key" ON "webhook_deliveries"("webhook_id", "event_id");

-- AddForeignKey
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "base_versions" ADD CONSTRAINT "base_versions_base_model_id_fkey" FOREIGN KEY ("base_model_id") REFERENCES "base_models"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "evolutions" ADD CONSTRAINT "evolutions_from_version_id_fkey" FOREIGN KEY ("from_version_id") REFERENCES "base_versions"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "evolutions" ADD CONSTRAINT "evolutions_to_version_id_fkey" FOREIGN KEY ("to_version_id") REFERENCES "base_versions"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "datasets" ADD CONSTRAINT "datasets_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "adapters" ADD CONSTRAINT "adapters_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "adapters" ADD CONSTRAINT "adapters_base_model_id_fkey" FOREIGN KEY ("base_model_id") REFERENCES "base_models"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "adapters" ADD CONSTRAINT "adapters_dataset_id_fkey" FOREIGN KEY ("dataset_id") REFERENCES "datasets"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "adapter_versions" ADD CONSTRAINT "adapter_versions_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "adapter_versions" ADD CONSTRAINT "adapter_versions_adapter_id_fkey" FOREIGN KEY ("adapter_id") REFERENCES "adapters"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "adapter_versions" ADD CONSTRAINT "adapter_versions_base_version_id_fkey" FOREIGN KEY ("base_version_id") REFERENCES "base_versions"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "adapter_versions" ADD CONSTRAINT "adapter_versions_parent_version_id_fkey" FOREIGN KEY ("parent_version_id") REFERENCES "adapter_versions"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "adapter_versions" ADD CONSTRAINT "adapter_versions_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "jobs"("id") ON DELETE SET NULL ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "rollouts" ADD CONSTRAINT "rollouts_base_version_id_fkey" FOREIGN KEY ("base_version_id") REFERENCES "base_versions"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_rollout_id_fkey" FOREIGN KEY ("rollout_id") REFERENCES "rollouts"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_adapter_id_fkey" FOREIGN KEY ("adapter_id") REFERENCES "adapters"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_source_version_id_fkey" FOREIGN KEY ("source_version_id") REFERENCES "adapter_versions"("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "metric_points" ADD CONSTRAINT "metric_points_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "jobs"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "search_evaluations" ADD CONSTRAINT "search_evaluations_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "jobs"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "webhooks" ADD CONSTRAINT "webhooks_tenant_id_fkey" FOREIGN KEY ("tenant_id") REFERENCES "tenants"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_webhook_id_fkey" FOREIGN KEY ("webhook_id") REFERENCES "webhooks"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- Checks, which Prisma's schema cannot express.
ALTER TABLE "artifacts" ADD CONSTRAINT "artifacts_digest_check" CHECK ("digest" ~ '^sha256:[0-9a-f]{64}$');
ALTER TABLE "artifacts" ADD CONSTRAINT "artifacts_bytes_check" CHECK ("bytes" >= 0);
ALTER TABLE "datasets" ADD CONSTRAINT "datasets_rows_check" CHECK ("rows" > 0 AND "bytes" > 0);
ALTER TABLE "adapters" ADD CONSTRAINT "adapters_metric_check" CHECK ("metric" IN ('accuracy', 'exact_match', 'loss'));
ALTER TABLE "adapter_versions" ADD CONSTRAINT "adapter_versions_number_check" CHECK ("number" > 0);
ALTER TABLE "adapter_versions" ADD CONSTRAINT "adapter_versions_rank_check" CHECK ("rank" > 0);
ALTER TABLE "adapter_versions" ADD CONSTRAINT "adapter_versions_origin_check" CHECK ("origin" IN ('imported', 'adapted'));
ALTER TABLE "evolutions" ADD CONSTRAINT "evolutions_versions_check" CHECK ("from_version_id" <> "to_version_id");
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_counters_check" CHECK ("step" >= 0 AND "total_steps" >= 0 AND "attempt" >= 0);
