-- Who has written what: one entry for each write of a caller, in the transaction of the write, read in the order of commits as
-- events are.
CREATE TABLE "audit_entries" (
  "seq" BIGSERIAL NOT NULL,
  "transaction_id" BIGINT NOT NULL DEFAULT 0,
  "id" TEXT NOT NULL,
  "tenant_id" TEXT,
  "actor" TEXT NOT NULL,
  "key_id" TEXT,
  "operation" TEXT NOT NULL,
  "subject_id" TEXT NOT NULL,
  "before" JSONB,
  "after" JSONB,
  "request_id" TEXT,
  "occurred_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "audit_entries_pkey" PRIMARY KEY ("seq")
);
CREATE UNIQUE INDEX "audit_entries_id_key" ON "audit_entries" ("id");
CREATE INDEX "audit_entries_transaction_id_seq_idx" ON "audit_entries" ("transaction_id", "seq");
CREATE INDEX "audit_entries_tenant_id_transaction_id_seq_idx" ON "audit_entries" ("tenant_id", "transaction_id", "seq");
CREATE INDEX "audit_entries_subject_id_transaction_id_seq_idx" ON "audit_entries" ("subject_id", "transaction_id", "seq");
CREATE TRIGGER audit_entries_note_transaction BEFORE INSERT ON "audit_entries"
  FOR EACH ROW EXECUTE FUNCTION readapt_note_event_transaction();
