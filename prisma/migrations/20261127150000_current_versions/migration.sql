-- For each base model version, the version of an adapter that should be served there (docs/adr/0021-current-versions.md).
CREATE TABLE "current_versions" (
  "adapter_id" TEXT NOT NULL,
  "base_model_version_id" TEXT NOT NULL,
  "tenant_id" TEXT NOT NULL,
  "adapter_version_id" TEXT,
  "previous_version_id" TEXT,
  "source_number" INTEGER NOT NULL DEFAULT 0,
  "held_job_id" TEXT,
  "changed_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "current_versions_pkey" PRIMARY KEY ("adapter_id", "base_model_version_id")
);
CREATE INDEX "current_versions_base_model_version_id_adapter_id_idx"
  ON "current_versions" ("base_model_version_id", "adapter_id");
CREATE INDEX "current_versions_tenant_id_base_model_version_id_adapter_id_idx"
  ON "current_versions" ("tenant_id", "base_model_version_id", "adapter_id");
CREATE INDEX "current_versions_adapter_version_id_idx" ON "current_versions" ("adapter_version_id");
ALTER TABLE "current_versions" ADD CONSTRAINT "current_versions_adapter_id_fkey"
  FOREIGN KEY ("adapter_id") REFERENCES "adapters" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "current_versions" ADD CONSTRAINT "current_versions_base_model_version_id_fkey"
  FOREIGN KEY ("base_model_version_id") REFERENCES "base_model_versions" ("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "current_versions" ADD CONSTRAINT "current_versions_tenant_id_fkey"
  FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "current_versions" ADD CONSTRAINT "current_versions_adapter_version_id_fkey"
  FOREIGN KEY ("adapter_version_id") REFERENCES "adapter_versions" ("id") ON DELETE SET NULL ON UPDATE CASCADE;
SELECT readapt_isolate('current_versions');

-- A published version becomes current for its base, unless it comes from an earlier version than what was published there last,
-- or from a job whose version somebody has taken back. A version before this one publishes the same way.
CREATE FUNCTION readapt_make_current() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  source INTEGER := COALESCE((SELECT p.number FROM adapter_versions p WHERE p.id = NEW.parent_version_id), NEW.number);
BEGIN
  INSERT INTO current_versions AS c (adapter_id, base_model_version_id, tenant_id, adapter_version_id, source_number, changed_at)
  VALUES (NEW.adapter_id, NEW.base_model_version_id, NEW.tenant_id, NEW.id, source, clock_timestamp())
  ON CONFLICT (adapter_id, base_model_version_id) DO UPDATE SET
    -- What a job publishes one after the other takes the place of what was current before its first publication.
    previous_version_id = CASE
      WHEN EXISTS (SELECT FROM adapter_versions v WHERE v.id = c.adapter_version_id AND v.job_id = NEW.job_id)
      THEN c.previous_version_id ELSE c.adapter_version_id END,
    adapter_version_id = EXCLUDED.adapter_version_id, source_number = EXCLUDED.source_number, held_job_id = NULL,
    changed_at = EXCLUDED.changed_at
  WHERE EXCLUDED.source_number >= c.source_number AND (NEW.job_id IS NULL OR c.held_job_id IS DISTINCT FROM NEW.job_id);
  RETURN NULL;
END $$;
CREATE TRIGGER adapter_versions_make_current AFTER INSERT ON "adapter_versions"
  FOR EACH ROW WHEN (NEW.deleted_at IS NULL) EXECUTE FUNCTION readapt_make_current();

-- An API of the version before deletes a version although it is current. Then none is.
CREATE FUNCTION readapt_unmake_current() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE current_versions SET adapter_version_id = NULL, previous_version_id = NULL, changed_at = clock_timestamp()
  WHERE adapter_version_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER adapter_versions_unmake_current AFTER UPDATE OF deleted_at ON "adapter_versions"
  FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION readapt_unmake_current();

-- What is removed is named nowhere.
CREATE FUNCTION readapt_forget_previous() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE current_versions SET previous_version_id = NULL
  WHERE adapter_id = OLD.adapter_id AND previous_version_id = OLD.id;
  RETURN NULL;
END $$;
CREATE TRIGGER adapter_versions_forget_previous AFTER DELETE ON "adapter_versions"
  FOR EACH ROW EXECUTE FUNCTION readapt_forget_previous();

-- Tenants' imports and deletions set these triggers off, so they run as the owner of the tables, in this schema alone.
DO $$
DECLARE
  keeping TEXT;
BEGIN
  FOREACH keeping IN ARRAY ARRAY['readapt_make_current', 'readapt_unmake_current', 'readapt_forget_previous']
  LOOP
    EXECUTE format('ALTER FUNCTION %I() SECURITY DEFINER SET search_path = %I, pg_temp', keeping, current_schema());
  END LOOP;
END $$;

-- The versions that exist, by the same order. Where the version that one comes from was collected, `superseded` says whether it came late.
-- The triggers above keep publications out until this migration has committed.
WITH published AS (
  SELECT v.*, COALESCE(p.number, CASE WHEN v.superseded THEN 0 ELSE v.number END) AS source
  FROM "adapter_versions" v LEFT JOIN "adapter_versions" p ON p.id = v.parent_version_id
  WHERE v.deleted_at IS NULL
), newest AS (
  SELECT DISTINCT ON (adapter_id, base_model_version_id) * FROM published
  ORDER BY adapter_id, base_model_version_id, source DESC, number DESC
)
INSERT INTO "current_versions" (adapter_id, base_model_version_id, tenant_id, adapter_version_id, previous_version_id, source_number, changed_at)
SELECT n.adapter_id, n.base_model_version_id, n.tenant_id, n.id, (
    SELECT e.id FROM published e
    WHERE e.adapter_id = n.adapter_id AND e.base_model_version_id = n.base_model_version_id AND e.number < n.number
      AND (e.job_id IS NULL OR e.job_id IS DISTINCT FROM n.job_id)
    ORDER BY e.source DESC, e.number DESC LIMIT 1
  ), n.source, n.created_at
FROM newest n;
