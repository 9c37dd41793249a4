-- What engines have to know of an adapter version to serve it, so that dry runs count what breaks a serving profile without reading files.
-- Null for versions from before: of those the rank alone is known.
ALTER TABLE "adapter_versions" ADD COLUMN "served_features" JSONB;
