-- Whether the rows of a dataset are prompts alone, which the old version of an adapter answers. Rows without answers were refused before.
ALTER TABLE "datasets" ADD COLUMN "prompts_only" BOOLEAN NOT NULL DEFAULT false;
