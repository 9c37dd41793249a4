-- What the engines that serve a base model accept of an adapter; null if nobody has said.
ALTER TABLE "base_models" ADD COLUMN "serving_profile" JSONB;
