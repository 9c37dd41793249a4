-- Old audit entries are pruned as old events are, and so are uses of devices, which only the quota of the running month needs.
ALTER TABLE "tenants"
  ADD COLUMN "audit_pruned_transaction_id" BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN "audit_pruned_seq" BIGINT NOT NULL DEFAULT 0;

CREATE INDEX "device_uses_ended_at_idx" ON "device_uses" ("ended_at");
