-- The hub or bucket from which a version was imported, in the state in which it was taken; null for folders, uploads and jobs.
ALTER TABLE "adapter_versions" ADD COLUMN "source" JSONB;
