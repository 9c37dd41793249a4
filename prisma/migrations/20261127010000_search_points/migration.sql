-- How many evaluations of a job's search later jobs can use, so that they find the longest searches by an index. It is
-- counted once, when the job ends; after that, no worker may add any.
ALTER TABLE "jobs" ADD COLUMN "search_points" INTEGER NOT NULL DEFAULT 0;
UPDATE "jobs" j SET "search_points" = (
  SELECT count(*) FROM search_evaluations e WHERE e.job_id = j.id AND e.rows > 0 AND e.metric = 'loss')
WHERE "finished_at" IS NOT NULL;
CREATE INDEX "jobs_rollout_id_search_points_finished_at_id_idx"
  ON "jobs" ("rollout_id", "search_points" DESC, "finished_at", "id");

CREATE FUNCTION readapt_count_search_points() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.search_points := (
    SELECT count(*) FROM search_evaluations e WHERE e.job_id = NEW.id AND e.rows > 0 AND e.metric = 'loss');
  RETURN NEW;
END $$;
CREATE TRIGGER jobs_count_search_points BEFORE UPDATE ON "jobs" FOR EACH ROW
  WHEN (OLD.finished_at IS NULL AND NEW.finished_at IS NOT NULL) EXECUTE FUNCTION readapt_count_search_points();
