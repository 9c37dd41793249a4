-- What serving engines call a base model version. For those that exist it is the folder that they were registered from.
ALTER TABLE "base_model_versions" ADD COLUMN "serving_name" TEXT;
UPDATE "base_model_versions" SET "serving_name" = "path";
ALTER TABLE "base_model_versions" ALTER COLUMN "serving_name" SET NOT NULL;
