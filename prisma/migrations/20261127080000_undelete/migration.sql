-- The collector removes the rows of an adapter or a tenant in many transactions. It first notes that it has begun, under the row's
-- lock, so that whoever undeletes at the same moment gets everything back or is refused.
ALTER TABLE "tenants" ADD COLUMN "collection_began_at" TIMESTAMPTZ(3);
ALTER TABLE "adapters" ADD COLUMN "collection_began_at" TIMESTAMPTZ(3);
