-- A retry with an Idempotency-Key is read no further than the body of the first request was long.
ALTER TABLE "idempotency_records" ADD COLUMN "body_bytes" BIGINT;
