-- Uploads of base models (docs/adr/0038-uploads-of-base-models.md): what will be sent, and the parts that are there.
CREATE TABLE "base_model_uploads" (
  "id" TEXT NOT NULL,
  "state" TEXT NOT NULL DEFAULT 'open',
  "files_digest" TEXT NOT NULL,
  "bytes" BIGINT NOT NULL,
  "part_bytes" INTEGER NOT NULL,
  "error" JSONB,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "completed_at" TIMESTAMPTZ(3),
  "expires_at" TIMESTAMPTZ(3),
  "next_attempt_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "lease_owner" TEXT,
  "lease_expires_at" TIMESTAMPTZ(6),
  CONSTRAINT "base_model_uploads_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "base_model_uploads_state_id_idx" ON "base_model_uploads" ("state", "id");
CREATE INDEX "base_model_uploads_files_digest_id_idx" ON "base_model_uploads" ("files_digest", "id");
CREATE INDEX "base_model_uploads_expires_at_idx" ON "base_model_uploads" ("expires_at");

-- `contents` is null until the file was read as a whole.
CREATE TABLE "base_model_upload_files" (
  "upload_id" TEXT NOT NULL,
  "name" TEXT NOT NULL,
  "size" BIGINT NOT NULL,
  "sha256" TEXT NOT NULL,
  "verified_bytes" BIGINT NOT NULL DEFAULT 0,
  "contents" JSONB,
  CONSTRAINT "base_model_upload_files_pkey" PRIMARY KEY ("upload_id", "name"),
  CONSTRAINT "base_model_upload_files_upload_id_fkey" FOREIGN KEY ("upload_id")
    REFERENCES "base_model_uploads" ("id") ON DELETE CASCADE ON UPDATE CASCADE
);

-- A part is an artifact. The reference keeps the row of the artifact, and so its bytes, also from the collector of the version before,
-- which does not look here.
CREATE TABLE "base_model_upload_parts" (
  "upload_id" TEXT NOT NULL,
  "file_name" TEXT NOT NULL,
  "number" INTEGER NOT NULL,
  "artifact_digest" TEXT NOT NULL,
  CONSTRAINT "base_model_upload_parts_pkey" PRIMARY KEY ("upload_id", "file_name", "number"),
  CONSTRAINT "base_model_upload_parts_upload_id_file_name_fkey" FOREIGN KEY ("upload_id", "file_name")
    REFERENCES "base_model_upload_files" ("upload_id", "name") ON DELETE CASCADE ON UPDATE CASCADE,
  CONSTRAINT "base_model_upload_parts_artifact_digest_fkey" FOREIGN KEY ("artifact_digest")
    REFERENCES "artifacts" ("digest") ON DELETE RESTRICT ON UPDATE CASCADE
);
CREATE INDEX "base_model_upload_parts_artifact_digest_idx" ON "base_model_upload_parts" ("artifact_digest");

-- The upload that has the files of a version, which is kept as long as the version.
ALTER TABLE "base_model_versions" ADD COLUMN "upload_id" TEXT;
CREATE INDEX "base_model_versions_upload_id_idx" ON "base_model_versions" ("upload_id");
ALTER TABLE "base_model_versions" ADD CONSTRAINT "base_model_versions_upload_id_fkey" FOREIGN KEY ("upload_id")
  REFERENCES "base_model_uploads" ("id") ON DELETE RESTRICT ON UPDATE CASCADE;
