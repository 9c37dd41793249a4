-- The old version is measured before a rollout asks for it, and margins count from the version that the tenant has imported
-- (docs/adr/0019-anchors.md).

-- Adapter versions whose outcomes on the gate rows an idle worker is to measure. A row goes when they are measured.
CREATE TABLE "outcome_requests" (
  "adapter_version_id" TEXT NOT NULL,
  "tenant_id" TEXT NOT NULL,
  "requested_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "queued" BOOLEAN NOT NULL DEFAULT false,
  "attempt" INTEGER NOT NULL DEFAULT 0,
  "lease_owner" TEXT,
  "lease_expires_at" TIMESTAMPTZ(6),
  "leased_at" TIMESTAMPTZ(6),
  CONSTRAINT "outcome_requests_pkey" PRIMARY KEY ("adapter_version_id")
);
CREATE INDEX "outcome_requests_queued_tenant_id_adapter_version_id_idx"
  ON "outcome_requests" ("queued", "tenant_id", "adapter_version_id");
ALTER TABLE "outcome_requests" ADD CONSTRAINT "outcome_requests_adapter_version_id_fkey"
  FOREIGN KEY ("adapter_version_id") REFERENCES "adapter_versions" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
SELECT readapt_isolate('outcome_requests');

-- A measurement holds a device for its tenant, like a job: see readapt_note_lease.
CREATE FUNCTION readapt_note_measurement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO device_uses (tenant_id, job_id, started_at, ended_at)
  SELECT OLD.tenant_id, OLD.adapter_version_id, OLD.leased_at,
    GREATEST(OLD.leased_at, LEAST(clock_timestamp(), OLD.lease_expires_at))
  -- A tenant that is removed needs no account.
  WHERE EXISTS (SELECT FROM tenants t WHERE t.id = OLD.tenant_id);
  RETURN NULL;
END $$;
CREATE TRIGGER outcome_requests_note_lease AFTER UPDATE ON "outcome_requests"
  FOR EACH ROW WHEN (OLD.lease_owner IS NOT NULL AND OLD.lease_owner IS DISTINCT FROM NEW.lease_owner)
  EXECUTE FUNCTION readapt_note_measurement();
CREATE TRIGGER outcome_requests_note_end AFTER DELETE ON "outcome_requests"
  FOR EACH ROW WHEN (OLD.lease_owner IS NOT NULL)
  EXECUTE FUNCTION readapt_note_measurement();

-- The version that the margins of a version's successors count from. It has no foreign key, because it outlives that version.
ALTER TABLE "adapter_versions" ADD COLUMN "anchor_version_id" TEXT;
WITH RECURSIVE chain AS (
  SELECT id, id AS anchor FROM "adapter_versions" WHERE parent_version_id IS NULL
  UNION ALL
  SELECT v.id, chain.anchor FROM chain JOIN "adapter_versions" v ON v.parent_version_id = chain.id
)
UPDATE "adapter_versions" v SET anchor_version_id = chain.anchor FROM chain WHERE chain.id = v.id;

-- An import is its own anchor, and what is carried over from it keeps it. A version before this one does not write it.
CREATE FUNCTION readapt_default_anchor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.anchor_version_id := COALESCE(
    NEW.anchor_version_id,
    (SELECT COALESCE(p.anchor_version_id, p.id) FROM adapter_versions p WHERE p.id = NEW.parent_version_id),
    NEW.id);
  RETURN NEW;
END $$;
CREATE TRIGGER adapter_versions_anchor BEFORE INSERT ON "adapter_versions"
  FOR EACH ROW EXECUTE FUNCTION readapt_default_anchor();

-- The outcomes of anchors, which stay as long as their adapter when the version itself is deleted and collected.
CREATE TABLE "anchor_outcomes" (
  "anchor_version_id" TEXT NOT NULL,
  "tenant_id" TEXT NOT NULL,
  "adapter_id" TEXT NOT NULL,
  "number" INTEGER NOT NULL,
  "digest" TEXT NOT NULL,
  "value" DOUBLE PRECISION NOT NULL,
  "standard_error" DOUBLE PRECISION NOT NULL,
  "values" DOUBLE PRECISION[],
  "measured_at" TIMESTAMPTZ(6) NOT NULL,
  CONSTRAINT "anchor_outcomes_pkey" PRIMARY KEY ("anchor_version_id")
);
CREATE INDEX "anchor_outcomes_adapter_id_idx" ON "anchor_outcomes" ("adapter_id");
ALTER TABLE "anchor_outcomes" ADD CONSTRAINT "anchor_outcomes_adapter_id_fkey"
  FOREIGN KEY ("adapter_id") REFERENCES "adapters" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
SELECT readapt_isolate('anchor_outcomes');
INSERT INTO "anchor_outcomes"
SELECT v.id, v.tenant_id, v.adapter_id, v.number, o.digest, o.value, o.standard_error, o.values, o.measured_at
FROM "gate_outcomes" o JOIN "adapter_versions" v ON v.id = o.adapter_version_id WHERE v.anchor_version_id = v.id;

-- Whatever measures an anchor writes its outcomes like those of any version.
CREATE FUNCTION readapt_keep_anchor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO anchor_outcomes AS kept
  SELECT v.id, v.tenant_id, v.adapter_id, v.number, NEW.digest, NEW.value, NEW.standard_error, NEW.values, NEW.measured_at
  FROM adapter_versions v
  WHERE v.id = NEW.adapter_version_id AND (
    v.anchor_version_id = v.id OR EXISTS (SELECT FROM anchor_outcomes o WHERE o.anchor_version_id = v.id))
  ON CONFLICT (anchor_version_id) DO UPDATE SET digest = EXCLUDED.digest, value = EXCLUDED.value,
    standard_error = EXCLUDED.standard_error, values = EXCLUDED.values, measured_at = EXCLUDED.measured_at;
  RETURN NULL;
END $$;
CREATE TRIGGER gate_outcomes_keep_anchor AFTER INSERT OR UPDATE ON "gate_outcomes"
  FOR EACH ROW EXECUTE FUNCTION readapt_keep_anchor();

-- What the margin of a job's gate counted from: the version, and its value on the gate rows.
ALTER TABLE "jobs" ADD COLUMN "anchor_version_id" TEXT, ADD COLUMN "metric_anchor" DOUBLE PRECISION;
