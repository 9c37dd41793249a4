-- For how long jobs have held a device. A lease begins with a claim and ends in many ways, so a trigger writes it down: whoever
-- takes a lease away, it counts until then, or until it has expired with its worker.
ALTER TABLE "jobs" ADD COLUMN "leased_at" TIMESTAMPTZ(6);

CREATE TABLE "device_uses" (
  "id" BIGSERIAL NOT NULL,
  "tenant_id" TEXT NOT NULL,
  "job_id" TEXT NOT NULL,
  "started_at" TIMESTAMPTZ(6) NOT NULL,
  "ended_at" TIMESTAMPTZ(6) NOT NULL,
  CONSTRAINT "device_uses_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "device_uses_tenant_id_ended_at_idx" ON "device_uses" ("tenant_id", "ended_at");
ALTER TABLE "device_uses" ADD CONSTRAINT "device_uses_tenant_id_fkey"
  FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE FUNCTION readapt_note_lease() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  now_at TIMESTAMPTZ := clock_timestamp();
BEGIN
  IF OLD.lease_owner IS NOT NULL AND OLD.leased_at IS NOT NULL THEN
    INSERT INTO device_uses (tenant_id, job_id, started_at, ended_at)
    VALUES (OLD.tenant_id, OLD.id, OLD.leased_at, GREATEST(OLD.leased_at, LEAST(now_at, OLD.lease_expires_at)));
  END IF;
  NEW.leased_at := CASE WHEN NEW.lease_owner IS NULL THEN NULL ELSE now_at END;
  RETURN NEW;
END $$;
CREATE TRIGGER jobs_note_lease BEFORE UPDATE ON "jobs"
  FOR EACH ROW WHEN (OLD.lease_owner IS DISTINCT FROM NEW.lease_owner) EXECUTE FUNCTION readapt_note_lease();
