-- The jobs of a rollout by their time to readiness.
CREATE INDEX "jobs_rollout_id_ttr_ms_id_idx" ON "jobs" ("rollout_id", "ttr_ms", "id");
