-- What is deleted is gone for everybody at once, and collected when its grace time is over. The indexes are those by which the
-- collector finds what is due, and what still refers to it.
ALTER TABLE "tenants" ADD COLUMN "deleted_at" TIMESTAMPTZ(3);
ALTER TABLE "datasets" ADD COLUMN "deleted_at" TIMESTAMPTZ(3);
ALTER TABLE "adapters" ADD COLUMN "deleted_at" TIMESTAMPTZ(3);
ALTER TABLE "adapter_versions" ADD COLUMN "deleted_at" TIMESTAMPTZ(3);

CREATE INDEX "datasets_artifact_digest_idx" ON "datasets" ("artifact_digest");
CREATE INDEX "datasets_deleted_at_idx" ON "datasets" ("deleted_at");
CREATE INDEX "adapters_dataset_id_idx" ON "adapters" ("dataset_id");
CREATE INDEX "adapters_deleted_at_idx" ON "adapters" ("deleted_at");
CREATE INDEX "adapter_versions_parent_version_id_idx" ON "adapter_versions" ("parent_version_id");
CREATE INDEX "adapter_versions_artifact_digest_idx" ON "adapter_versions" ("artifact_digest");
CREATE INDEX "adapter_versions_deleted_at_idx" ON "adapter_versions" ("deleted_at");
CREATE INDEX "jobs_source_version_id_idx" ON "jobs" ("source_version_id");

-- A job that has ended stays in its rollout's report when the version that it carried over is deleted.
ALTER TABLE "jobs" ALTER COLUMN "source_version_id" DROP NOT NULL;
ALTER TABLE "jobs" DROP CONSTRAINT "jobs_source_version_id_fkey";
ALTER TABLE "jobs" ADD CONSTRAINT "jobs_source_version_id_fkey" FOREIGN KEY ("source_version_id")
  REFERENCES "adapter_versions" ("id") ON DELETE SET NULL ON UPDATE CASCADE;
