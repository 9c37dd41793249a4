-- Replicas of serving engines (docs/adr/0033-replicas.md): where they are, what they should serve, and what is loaded there.
CREATE TABLE "replicas" (
  "id" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "engine" TEXT NOT NULL,
  "url" TEXT NOT NULL,
  "base_model_version_id" TEXT NOT NULL,
  "path_prefix" TEXT NOT NULL,
  "sealed_api_key" TEXT,
  "max_adapters" INTEGER NOT NULL,
  "aliases" BOOLEAN NOT NULL,
  "check" TEXT NOT NULL,
  "tenant_ids" TEXT[],
  "labels" JSONB NOT NULL,
  "unload_after_ms" INTEGER NOT NULL,
  "state" TEXT NOT NULL DEFAULT 'syncing',
  "error" JSONB,
  "desired" INTEGER NOT NULL DEFAULT 0,
  "loaded" INTEGER NOT NULL DEFAULT 0,
  "failed" INTEGER NOT NULL DEFAULT 0,
  "last_seen_at" TIMESTAMPTZ(3),
  "in_sync_at" TIMESTAMPTZ(3),
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "seen_horizon" BIGINT NOT NULL DEFAULT 0,
  "seen_changes" BIGINT NOT NULL DEFAULT 0,
  "listing_digest" TEXT,
  "failures" INTEGER NOT NULL DEFAULT 0,
  "next_turn_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "resync_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "lease_owner" TEXT,
  "lease_expires_at" TIMESTAMPTZ(6),
  CONSTRAINT "replicas_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "replicas_name_key" ON "replicas" ("name");
CREATE UNIQUE INDEX "replicas_url_key" ON "replicas" ("url");
CREATE INDEX "replicas_next_turn_at_idx" ON "replicas" ("next_turn_at");
CREATE INDEX "replicas_base_model_version_id_idx" ON "replicas" ("base_model_version_id");
ALTER TABLE "replicas" ADD CONSTRAINT "replicas_base_model_version_id_fkey"
  FOREIGN KEY ("base_model_version_id") REFERENCES "base_model_versions" ("id") ON DELETE RESTRICT ON UPDATE CASCADE;

-- One row for each name that a replica has or should have. Adapters are not referenced: the row outlives what is deleted until the
-- engine has unloaded it.
CREATE TABLE "replica_adapters" (
  "id" TEXT NOT NULL,
  "replica_id" TEXT NOT NULL,
  "tenant_id" TEXT,
  "adapter_id" TEXT,
  "adapter_version_id" TEXT,
  "engine_name" TEXT NOT NULL,
  "state" TEXT NOT NULL,
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "error" JSONB,
  "next_attempt_at" TIMESTAMPTZ(6),
  "checked_at" TIMESTAMPTZ(3),
  "unload_at" TIMESTAMPTZ(6),
  CONSTRAINT "replica_adapters_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "replica_adapters_replica_id_engine_name_key" ON "replica_adapters" ("replica_id", "engine_name");
CREATE INDEX "replica_adapters_replica_id_id_idx" ON "replica_adapters" ("replica_id", "id");
CREATE INDEX "replica_adapters_replica_id_state_id_idx" ON "replica_adapters" ("replica_id", "state", "id");
ALTER TABLE "replica_adapters" ADD CONSTRAINT "replica_adapters_replica_id_fkey"
  FOREIGN KEY ("replica_id") REFERENCES "replicas" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
SELECT readapt_isolate('replica_adapters');
