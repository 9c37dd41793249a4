-- Quotas by tenant. The limits that the operator gives a tenant stand in its row; what it has is counted by triggers, so that a
-- check costs the same however much that is.
ALTER TABLE "tenants" ADD COLUMN "quotas" JSONB;

ALTER TABLE "adapter_versions" ADD COLUMN "bytes" BIGINT NOT NULL DEFAULT 0;
UPDATE "adapter_versions" v SET "bytes" = a."bytes" FROM "artifacts" a WHERE a."digest" = v."artifact_digest";

CREATE TABLE "tenant_usage" (
  "tenant_id" TEXT NOT NULL,
  "adapters" BIGINT NOT NULL DEFAULT 0,
  "dataset_rows" BIGINT NOT NULL DEFAULT 0,
  "stored_bytes" BIGINT NOT NULL DEFAULT 0,
  CONSTRAINT "tenant_usage_pkey" PRIMARY KEY ("tenant_id")
);
ALTER TABLE "tenant_usage" ADD CONSTRAINT "tenant_usage_tenant_id_fkey"
  FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "upload_reservations" (
  "id" TEXT NOT NULL,
  "tenant_id" TEXT NOT NULL,
  "bytes" BIGINT NOT NULL,
  "expires_at" TIMESTAMPTZ(6) NOT NULL,
  CONSTRAINT "upload_reservations_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "upload_reservations_tenant_id_idx" ON "upload_reservations" ("tenant_id");
ALTER TABLE "upload_reservations" ADD CONSTRAINT "upload_reservations_tenant_id_fkey"
  FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON DELETE CASCADE ON UPDATE CASCADE;

INSERT INTO "tenant_usage" ("tenant_id", "adapters", "dataset_rows", "stored_bytes")
SELECT t."id",
  (SELECT count(*) FROM "adapters" a WHERE a."tenant_id" = t."id"),
  (SELECT COALESCE(sum(d."rows"), 0) FROM "datasets" d WHERE d."tenant_id" = t."id"),
  (SELECT COALESCE(sum(d."bytes"), 0) FROM "datasets" d WHERE d."tenant_id" = t."id")
    + (SELECT COALESCE(sum(v."bytes"), 0) FROM "adapter_versions" v WHERE v."tenant_id" = t."id")
FROM "tenants" t;

-- One change of the counters for each statement, in the order of tenants, so that a bulk insert is cheap and transactions do not
-- wait for each other in a circle. A tenant that is being deleted has no counters any more.
CREATE FUNCTION readapt_count_usage() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  counted RECORD;
  sign INT := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  FOR counted IN EXECUTE format('SELECT tenant_id, %s FROM changed GROUP BY tenant_id ORDER BY tenant_id', TG_ARGV[0])
  LOOP
    IF TG_OP = 'INSERT' THEN
      INSERT INTO tenant_usage (tenant_id) VALUES (counted.tenant_id) ON CONFLICT DO NOTHING;
    END IF;
    UPDATE tenant_usage SET adapters = adapters + sign * counted.adapters,
      dataset_rows = dataset_rows + sign * counted.dataset_rows, stored_bytes = stored_bytes + sign * counted.stored_bytes
    WHERE tenant_id = counted.tenant_id;
  END LOOP;
  RETURN NULL;
END $$;

CREATE TRIGGER adapters_count_inserted AFTER INSERT ON "adapters" REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION readapt_count_usage('count(*) AS adapters, 0 AS dataset_rows, 0 AS stored_bytes');
CREATE TRIGGER adapters_count_deleted AFTER DELETE ON "adapters" REFERENCING OLD TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION readapt_count_usage('count(*) AS adapters, 0 AS dataset_rows, 0 AS stored_bytes');
CREATE TRIGGER datasets_count_inserted AFTER INSERT ON "datasets" REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION readapt_count_usage('0 AS adapters, sum(rows) AS dataset_rows, sum(bytes) AS stored_bytes');
CREATE TRIGGER datasets_count_deleted AFTER DELETE ON "datasets" REFERENCING OLD TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION readapt_count_usage('0 AS adapters, sum(rows) AS dataset_rows, sum(bytes) AS stored_bytes');
CREATE TRIGGER adapter_versions_count_inserted AFTER INSERT ON "adapter_versions" REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION readapt_count_usage('0 AS adapters, 0 AS dataset_rows, sum(bytes) AS stored_bytes');
CREATE TRIGGER adapter_versions_count_deleted AFTER DELETE ON "adapter_versions" REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION readapt_count_usage('0 AS adapters, 0 AS dataset_rows, sum(bytes) AS stored_bytes');
