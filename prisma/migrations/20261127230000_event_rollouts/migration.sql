-- The events of a rollout are its own and those of its jobs. Without a column, the events of all its jobs would have to be looked for.
-- The column is filled by the trigger, so that processes of the version before fill it, too. It is null where an event belongs to no
-- rollout.
ALTER TABLE "events" ADD COLUMN "rollout_id" TEXT;

CREATE OR REPLACE FUNCTION readapt_note_event_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.transaction_id := pg_current_xact_id()::text::bigint;
  NEW.rollout_id := COALESCE(NEW.data ->> 'rollout_id', CASE WHEN NEW.type LIKE 'rollout.%' THEN NEW.subject_id END);
  RETURN NEW;
END $$;
