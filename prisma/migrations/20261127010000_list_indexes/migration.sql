-- Every list, and every query that a sweep repeats, reads no more rows than it returns: the indexes hold what is compared for
-- equality first, and then what the rows are sorted by.
DROP INDEX "adapter_versions_tenant_id_idx";
CREATE INDEX "adapter_versions_tenant_id_id_idx" ON "adapter_versions" ("tenant_id", "id");
CREATE INDEX "adapter_versions_adapter_id_id_idx" ON "adapter_versions" ("adapter_id", "id");
CREATE INDEX "adapter_versions_job_id_idx" ON "adapter_versions" ("job_id");

DROP INDEX "api_keys_tenant_id_idx";
CREATE INDEX "api_keys_tenant_id_id_idx" ON "api_keys" ("tenant_id", "id");
CREATE INDEX "base_model_versions_base_model_id_id_idx" ON "base_model_versions" ("base_model_id", "id");
CREATE INDEX "evolutions_new_base_model_version_id_idx" ON "evolutions" ("new_base_model_version_id");

CREATE INDEX "datasets_tenant_id_id_idx" ON "datasets" ("tenant_id", "id");
CREATE INDEX "datasets_name_id_idx" ON "datasets" ("name", "id");
CREATE INDEX "adapters_tenant_id_id_idx" ON "adapters" ("tenant_id", "id");
CREATE INDEX "adapters_name_id_idx" ON "adapters" ("name", "id");

DROP INDEX "rollouts_state_idx";
CREATE INDEX "rollouts_state_id_idx" ON "rollouts" ("state", "id");
CREATE INDEX "rollouts_state_finished_at_idx" ON "rollouts" ("state", "finished_at");
CREATE INDEX "rollouts_base_model_version_id_idx" ON "rollouts" ("base_model_version_id");

DROP INDEX "jobs_rollout_id_state_idx";
DROP INDEX "jobs_state_lease_expires_at_idx";
CREATE INDEX "jobs_rollout_id_id_idx" ON "jobs" ("rollout_id", "id");
CREATE INDEX "jobs_rollout_id_state_id_idx" ON "jobs" ("rollout_id", "state", "id");
CREATE INDEX "jobs_rollout_id_finished_at_id_idx" ON "jobs" ("rollout_id", "finished_at", "id");
CREATE INDEX "jobs_tenant_id_id_idx" ON "jobs" ("tenant_id", "id");
CREATE INDEX "jobs_tenant_id_change_transaction_id_change_seq_idx"
  ON "jobs" ("tenant_id", "change_transaction_id", "change_seq");
CREATE INDEX "jobs_change_transaction_id_change_seq_idx" ON "jobs" ("change_transaction_id", "change_seq");
CREATE INDEX "jobs_adapter_id_id_idx" ON "jobs" ("adapter_id", "id");
CREATE INDEX "jobs_state_id_idx" ON "jobs" ("state", "id");
CREATE INDEX "jobs_updated_at_idx" ON "jobs" ("updated_at");
CREATE INDEX "jobs_lease_expires_at_idx" ON "jobs" ("lease_expires_at");

CREATE INDEX "metric_points_job_id_id_idx" ON "metric_points" ("job_id", "id");
CREATE INDEX "outbox_created_at_id_idx" ON "outbox" ("created_at", "id");
