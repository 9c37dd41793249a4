-- Points of a search are measured on more and more rows. How many an evaluation had before is not known: 0.
ALTER TABLE "search_evaluations" ADD COLUMN "rows" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "search_evaluations" ALTER COLUMN "rows" DROP DEFAULT;
ALTER TABLE "search_evaluations" ADD COLUMN "metric" TEXT NOT NULL DEFAULT 'loss';
ALTER TABLE "search_evaluations" ALTER COLUMN "metric" DROP DEFAULT;
ALTER TABLE "search_evaluations" ADD CONSTRAINT "search_evaluations_rows_check" CHECK ("rows" >= 0);
