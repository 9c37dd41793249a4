-- Adapters that were imported while a rollout went on whose policy lets them join it (docs/adr/0024-succession.md). A row is removed
-- when the adapter has its job, or when the rollout has ended: the next one takes it then.
CREATE TABLE "late_adapters" (
  "rollout_id" TEXT NOT NULL,
  "adapter_id" TEXT NOT NULL,
  CONSTRAINT "late_adapters_pkey" PRIMARY KEY ("rollout_id", "adapter_id")
);
CREATE INDEX "late_adapters_adapter_id_idx" ON "late_adapters" ("adapter_id");
ALTER TABLE "late_adapters" ADD CONSTRAINT "late_adapters_rollout_id_fkey"
  FOREIGN KEY ("rollout_id") REFERENCES "rollouts" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "late_adapters" ADD CONSTRAINT "late_adapters_adapter_id_fkey"
  FOREIGN KEY ("adapter_id") REFERENCES "adapters" ("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- A trigger, so that imports by an API of the version before count, too. Rollouts that go on are few, and found by their state;
-- identifiers sort by creation, so a greater one is that of a newer base model version.
CREATE FUNCTION readapt_note_late_adapter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO late_adapters (rollout_id, adapter_id)
  SELECT r.id, NEW.adapter_id
  FROM rollouts r
  JOIN base_model_versions v ON v.id = r.base_model_version_id AND v.id > NEW.base_model_version_id
  JOIN adapters a ON a.id = NEW.adapter_id AND a.base_model_id = v.base_model_id
  WHERE r.state IN ('planning', 'analyzing', 'adapting', 'paused') AND r.options -> 'policy' ->> 'late' = 'join'
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER adapter_versions_note_late_adapter AFTER INSERT ON "adapter_versions"
  FOR EACH ROW WHEN (NEW.origin = 'imported') EXECUTE FUNCTION readapt_note_late_adapter();

-- Tenants' imports set it off, so it runs as the owner of the tables, in this schema alone.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION readapt_note_late_adapter() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END $$;
