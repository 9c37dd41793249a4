-- Old events are pruned in the order of commits. A reader whose position is before the last pruned event that he could have
-- read is told so, where he would otherwise miss events in silence.
ALTER TABLE "tenants"
  ADD COLUMN "events_pruned_transaction_id" BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN "events_pruned_seq" BIGINT NOT NULL DEFAULT 0;

CREATE TABLE "event_retention" (
    "id" TEXT NOT NULL,
    "transaction_id" BIGINT NOT NULL,
    "seq" BIGINT NOT NULL,

    CONSTRAINT "event_retention_pkey" PRIMARY KEY ("id")
);
