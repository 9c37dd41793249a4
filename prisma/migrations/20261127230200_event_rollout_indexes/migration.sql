-- Apart from the migrations before, so that no lock of theirs is held while these are built. The second one is for tenants, who have a
-- few of a rollout's jobs.
CREATE INDEX "events_rollout_id_transaction_id_seq_idx" ON "events" ("rollout_id", "transaction_id", "seq");
CREATE INDEX "events_rollout_id_tenant_id_transaction_id_seq_idx" ON "events" ("rollout_id", "tenant_id", "transaction_id", "seq");
