-- Where the files of a base model version come from, if that is no folder; null for a folder, which `path` names.
-- `source_files` is the state that was pinned when the version was registered, `source_config` its config.json as it is, and `source_key`
-- names the folder of that state in the cache of each worker.
ALTER TABLE "base_model_versions"
  ADD COLUMN "source" JSONB,
  ADD COLUMN "source_files" JSONB,
  ADD COLUMN "source_config" JSONB,
  ADD COLUMN "source_key" TEXT;

-- Sealed tokens of private sources. Tenants' role has no rights here.
CREATE TABLE "base_source_tokens" (
  "base_model_version_id" TEXT NOT NULL,
  "sealed" TEXT NOT NULL,
  CONSTRAINT "base_source_tokens_pkey" PRIMARY KEY ("base_model_version_id"),
  CONSTRAINT "base_source_tokens_base_model_version_id_fkey" FOREIGN KEY ("base_model_version_id")
    REFERENCES "base_model_versions"("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- How far the fetches of the bases are that the analysis of a rollout needs.
ALTER TABLE "rollouts" ADD COLUMN "fetches" JSONB;
