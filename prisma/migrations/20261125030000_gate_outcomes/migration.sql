-- What a version has right on the gate's rows, so that the next rollout need not measure it again.
CREATE TABLE "gate_outcomes" (
    "adapter_version_id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "digest" TEXT NOT NULL,
    "value" DOUBLE PRECISION NOT NULL,
    "standard_error" DOUBLE PRECISION NOT NULL,
    "values" DOUBLE PRECISION[],
    "measured_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "gate_outcomes_pkey" PRIMARY KEY ("adapter_version_id")
);
ALTER TABLE "gate_outcomes" ADD CONSTRAINT "gate_outcomes_adapter_version_id_fkey" FOREIGN KEY ("adapter_version_id") REFERENCES "adapter_versions"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "gate_outcomes" ADD CONSTRAINT "gate_outcomes_digest_check" CHECK ("digest" ~ '^sha256:[0-9a-f]{64}$');
