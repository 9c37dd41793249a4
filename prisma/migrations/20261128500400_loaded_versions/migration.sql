-- The version whose weights a replica was last asked to load under a name: a name that is free again may be given to another adapter.
ALTER TABLE "replica_adapters" ADD COLUMN "loaded_version_id" TEXT;
UPDATE "replica_adapters" SET "loaded_version_id" = "adapter_version_id" WHERE "state" IN ('loaded', 'retiring') OR "checked_at" IS NOT NULL;
