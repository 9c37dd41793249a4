-- The share of negative flips of the version that a job has published, which its wave is judged by. A trigger copies it when the job
-- ends, so that the sums of a wave follow from the rows of its jobs alone, whatever becomes of the versions later.
ALTER TABLE "jobs" ADD COLUMN "negative_flips" DOUBLE PRECISION;

CREATE FUNCTION readapt_note_negative_flips() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.negative_flips := NULL;
  IF NEW.finished_at IS NOT NULL AND NEW.state = 'ready' THEN
    SELECT (v.metrics ->> 'negative_flips')::float8 INTO NEW.negative_flips FROM adapter_versions v
    WHERE v.job_id = NEW.id AND NOT v.provisional ORDER BY v.number DESC LIMIT 1;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER jobs_note_negative_flips BEFORE UPDATE ON "jobs"
  FOR EACH ROW WHEN (OLD.finished_at IS DISTINCT FROM NEW.finished_at AND NEW.wave IS NOT NULL AND NEW.kind = 'adaptation')
  EXECUTE FUNCTION readapt_note_negative_flips();

-- It runs as the owner of the table, as the counters do, because a cancellation by a tenant ends a job, too.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION readapt_note_negative_flips() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END $$;
