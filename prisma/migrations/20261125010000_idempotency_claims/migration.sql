-- Which request holds the key: one that was taken for dead must not store its answer.
ALTER TABLE "idempotency_records" ADD COLUMN "claim_id" TEXT;
