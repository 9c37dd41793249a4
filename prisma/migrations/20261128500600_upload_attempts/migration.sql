-- How often the verification of an upload was begun since it was asked for. One that never ends is given up after a while.
ALTER TABLE "base_model_uploads" ADD COLUMN "attempts" INTEGER NOT NULL DEFAULT 0;
