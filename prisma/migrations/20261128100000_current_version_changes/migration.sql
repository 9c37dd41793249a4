-- What should be served is followed in the order of commits, as changed jobs are (20261126230000_commit_order): a follower that goes by
-- positions misses nothing and reads only what has changed.
ALTER TABLE "current_versions"
  ADD COLUMN "change_transaction_id" BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN "change_seq" BIGINT NOT NULL DEFAULT 0;
UPDATE "current_versions" SET "change_seq" = nextval('events_seq_seq');
CREATE TRIGGER current_versions_note_change BEFORE INSERT OR UPDATE ON "current_versions"
  FOR EACH ROW EXECUTE FUNCTION readapt_note_job_change();
CREATE INDEX "current_versions_changes_idx"
  ON "current_versions" ("base_model_version_id", "change_transaction_id", "change_seq");
CREATE INDEX "current_versions_tenant_changes_idx"
  ON "current_versions" ("tenant_id", "base_model_version_id", "change_transaction_id", "change_seq");

-- A deleted adapter, or one of a deleted tenant, is not served, and an undeleted one is served again.
CREATE FUNCTION readapt_note_served_adapter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE current_versions SET change_seq = change_seq WHERE adapter_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER adapters_note_served AFTER UPDATE OF deleted_at ON "adapters"
  FOR EACH ROW WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at) EXECUTE FUNCTION readapt_note_served_adapter();

CREATE FUNCTION readapt_note_served_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE current_versions SET change_seq = change_seq WHERE tenant_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER tenants_note_served AFTER UPDATE OF deleted_at ON "tenants"
  FOR EACH ROW WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at) EXECUTE FUNCTION readapt_note_served_tenant();

-- The name and the fingerprint of a base model version are part of what followers read; a base gets its fingerprint when its files are verified,
-- which may be after its first adapters are current.
CREATE FUNCTION readapt_note_served_base() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE current_versions SET change_seq = change_seq WHERE base_model_version_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER base_model_versions_note_served AFTER UPDATE OF fingerprint, serving_name ON "base_model_versions"
  FOR EACH ROW WHEN (OLD.fingerprint IS DISTINCT FROM NEW.fingerprint OR OLD.serving_name IS DISTINCT FROM NEW.serving_name)
  EXECUTE FUNCTION readapt_note_served_base();

-- Tenants delete adapters, so these run as the owner of the tables, in this schema alone.
DO $$
DECLARE
  noting TEXT;
BEGIN
  FOREACH noting IN ARRAY ARRAY['readapt_note_served_adapter', 'readapt_note_served_tenant', 'readapt_note_served_base']
  LOOP
    EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', noting, current_schema());
  END LOOP;
END $$;
