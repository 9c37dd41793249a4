-- The events of a rollout are its own and those of its jobs. Without a column, the events of all its jobs would have to be looked for.
-- The column is filled by the trigger, so that processes of the version before fill it, too. It is null where an event belongs to no
-- rollout.
ALTER TABLE "events" ADD COLUMN "rollout_id" TEXT;

CREATE FUNCTION readapt_note_event_rollout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.rollout_id := COALESCE(NEW.data ->> 'rollout_id', CASE WHEN NEW.type LIKE 'rollout.%' THEN NEW.subject_id END);
  RETURN NEW;
END $$;
CREATE TRIGGER events_note_rollout BEFORE INSERT ON "events"
  FOR EACH ROW EXECUTE FUNCTION readapt_note_event_rollout();
