-- Jobs of all rollouts in the order of their end and of their time to readiness. A job that waits or runs has neither, so planning jobs and
-- heartbeats write nothing to these indexes.
CREATE INDEX "jobs_finished_at_id_idx" ON "jobs" ("finished_at", "id") WHERE "finished_at" IS NOT NULL;
CREATE INDEX "jobs_tenant_id_finished_at_id_idx" ON "jobs" ("tenant_id", "finished_at", "id") WHERE "finished_at" IS NOT NULL;
CREATE INDEX "jobs_ttr_ms_id_idx" ON "jobs" ("ttr_ms", "id") WHERE "ttr_ms" IS NOT NULL;
CREATE INDEX "jobs_tenant_id_ttr_ms_id_idx" ON "jobs" ("tenant_id", "ttr_ms", "id") WHERE "ttr_ms" IS NOT NULL;
