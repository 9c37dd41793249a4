-- When a base model version is no longer served; null if that is not decided.
ALTER TABLE "base_model_versions" ADD COLUMN "retires_at" TIMESTAMPTZ(3);
