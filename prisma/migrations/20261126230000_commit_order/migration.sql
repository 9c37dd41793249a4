-- Events and changed jobs are read in the order of their transactions, up to the first one that is still running. Sequence
-- numbers and times are given before the commit, so a reader that went by them missed what was committed late. What is there
-- already comes first, in the order that it has.
ALTER TABLE "events" ADD COLUMN "transaction_id" BIGINT NOT NULL DEFAULT 0;
ALTER TABLE "jobs"
  ADD COLUMN "change_transaction_id" BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN "change_seq" BIGINT NOT NULL DEFAULT 0;
UPDATE "jobs" SET "change_seq" = nextval('events_seq_seq');

CREATE FUNCTION readapt_note_event_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.transaction_id := pg_current_xact_id()::text::bigint;
  RETURN NEW;
END $$;
CREATE TRIGGER events_note_transaction BEFORE INSERT ON "events"
  FOR EACH ROW EXECUTE FUNCTION readapt_note_event_transaction();

-- Both kinds of positions come from one sequence, so that one cursor serves both.
CREATE FUNCTION readapt_note_job_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.change_transaction_id := pg_current_xact_id()::text::bigint;
  NEW.change_seq := nextval('events_seq_seq');
  RETURN NEW;
END $$;
CREATE TRIGGER jobs_note_change BEFORE INSERT OR UPDATE ON "jobs"
  FOR EACH ROW EXECUTE FUNCTION readapt_note_job_change();

DROP INDEX "events_tenant_id_seq_idx";
DROP INDEX "events_subject_id_seq_idx";
CREATE INDEX "events_transaction_id_seq_idx" ON "events" ("transaction_id", "seq");
CREATE INDEX "events_tenant_id_transaction_id_seq_idx" ON "events" ("tenant_id", "transaction_id", "seq");
CREATE INDEX "events_subject_id_transaction_id_seq_idx" ON "events" ("subject_id", "transaction_id", "seq");
CREATE INDEX "jobs_rollout_id_change_transaction_id_change_seq_idx"
  ON "jobs" ("rollout_id", "change_transaction_id", "change_seq");
