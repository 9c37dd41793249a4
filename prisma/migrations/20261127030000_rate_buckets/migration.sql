-- Requests count by tenant, at all API processes together. What is lost in a crash is how many were made in the last minute,
-- which is not worth a write to the log.
CREATE UNLOGGED TABLE "rate_buckets" (
  "id" TEXT NOT NULL,
  "tenant_id" TEXT,
  "per_minute" DOUBLE PRECISION NOT NULL,
  "tokens" DOUBLE PRECISION NOT NULL,
  "granted" DOUBLE PRECISION NOT NULL,
  "refilled_at" TIMESTAMPTZ(6) NOT NULL,
  CONSTRAINT "rate_buckets_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "rate_buckets_tenant_id_idx" ON "rate_buckets" ("tenant_id");
ALTER TABLE "rate_buckets" ADD CONSTRAINT "rate_buckets_tenant_id_fkey"
  FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
