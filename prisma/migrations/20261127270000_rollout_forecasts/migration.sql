-- What a rollout would do, and how long it would take (docs/adr/0029-forecasts.md): one that an operator has asked for, without a rollout,
-- or that of a rollout, made before its jobs. Workers and APIs of the version before know neither the table nor its queue job.
CREATE TABLE "rollout_forecasts" (
  "id" TEXT NOT NULL,
  "base_model_version_id" TEXT NOT NULL,
  "rollout_id" TEXT,
  "state" TEXT NOT NULL,
  "options" JSONB NOT NULL,
  "error" JSONB,
  "result" JSONB,
  "attempt" INTEGER NOT NULL DEFAULT 0,
  "excused_attempts" INTEGER NOT NULL DEFAULT 0,
  "requested_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "computed_at" TIMESTAMPTZ(6),
  CONSTRAINT "rollout_forecasts_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "rollout_forecasts_state_check" CHECK ("state" IN ('queued', 'computing', 'computed', 'failed'))
);
CREATE UNIQUE INDEX "rollout_forecasts_rollout_id_key" ON "rollout_forecasts" ("rollout_id");
CREATE INDEX "rollout_forecasts_base_model_version_id_id_idx" ON "rollout_forecasts" ("base_model_version_id", "id");
CREATE INDEX "rollout_forecasts_state_id_idx" ON "rollout_forecasts" ("state", "id");
ALTER TABLE "rollout_forecasts" ADD CONSTRAINT "rollout_forecasts_base_model_version_id_fkey"
  FOREIGN KEY ("base_model_version_id") REFERENCES "base_model_versions" ("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "rollout_forecasts" ADD CONSTRAINT "rollout_forecasts_rollout_id_fkey"
  FOREIGN KEY ("rollout_id") REFERENCES "rollouts" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
-- The device time of one job.
CREATE INDEX IF NOT EXISTS "device_uses_job_id_idx" ON "device_uses" ("job_id");
