-- Labels of adapters, by which lists, rollouts and waves choose them (docs/adr/0022-labels.md).
ALTER TABLE "adapters" ADD COLUMN "labels" JSONB NOT NULL DEFAULT '{}';

-- The index of the labels is a table, because an index on JSON serves neither the order of a list nor a tenant's request: PostgreSQL
-- looks into JSON only after it has applied row-level security.
CREATE TABLE "adapter_labels" (
  "adapter_id" TEXT NOT NULL,
  "key" TEXT NOT NULL,
  "value" TEXT NOT NULL,
  "tenant_id" TEXT NOT NULL,
  CONSTRAINT "adapter_labels_pkey" PRIMARY KEY ("adapter_id", "key")
);
CREATE INDEX "adapter_labels_key_value_adapter_id_idx" ON "adapter_labels" ("key", "value", "adapter_id");
CREATE INDEX "adapter_labels_tenant_id_key_value_adapter_id_idx" ON "adapter_labels" ("tenant_id", "key", "value", "adapter_id");
ALTER TABLE "adapter_labels" ADD CONSTRAINT "adapter_labels_adapter_id_fkey"
  FOREIGN KEY ("adapter_id") REFERENCES "adapters" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "adapter_labels" ADD CONSTRAINT "adapter_labels_tenant_id_fkey"
  FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
SELECT readapt_isolate('adapter_labels');

CREATE FUNCTION readapt_index_labels() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM adapter_labels WHERE adapter_id = NEW.id;
  INSERT INTO adapter_labels (adapter_id, key, value, tenant_id)
  SELECT NEW.id, l.key, l.value, NEW.tenant_id FROM jsonb_each_text(NEW.labels) AS l;
  RETURN NULL;
END $$;
CREATE TRIGGER adapters_index_first_labels AFTER INSERT ON "adapters"
  FOR EACH ROW WHEN (NEW.labels <> '{}') EXECUTE FUNCTION readapt_index_labels();
CREATE TRIGGER adapters_index_labels AFTER UPDATE OF labels ON "adapters"
  FOR EACH ROW WHEN (OLD.labels <> NEW.labels) EXECUTE FUNCTION readapt_index_labels();

-- Tenants' requests set these triggers off and do not write to the index themselves.
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION readapt_index_labels() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
END $$;
