-- Webhooks (docs/adr/0027-webhooks.md): where events are sent, the secrets that sign them, and what was sent.
CREATE TABLE "webhook_endpoints" (
  "id" TEXT NOT NULL,
  "tenant_id" TEXT,
  "url" TEXT NOT NULL,
  "description" TEXT,
  "event_types" TEXT[],
  "enabled" BOOLEAN NOT NULL DEFAULT TRUE,
  "disabled_reason" TEXT,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "position_transaction_id" BIGINT NOT NULL,
  "position_seq" BIGINT NOT NULL,
  "failures" INTEGER NOT NULL DEFAULT 0,
  "last_success_at" TIMESTAMPTZ(3),
  "next_turn_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "lease_owner" TEXT,
  "lease_expires_at" TIMESTAMPTZ(6),
  CONSTRAINT "webhook_endpoints_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "webhook_endpoints_tenant_id_id_idx" ON "webhook_endpoints" ("tenant_id", "id");
CREATE INDEX "webhook_endpoints_next_turn_at_idx" ON "webhook_endpoints" ("next_turn_at");
ALTER TABLE "webhook_endpoints" ADD CONSTRAINT "webhook_endpoints_tenant_id_fkey"
  FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "webhook_secrets" (
  "id" TEXT NOT NULL,
  "endpoint_id" TEXT NOT NULL,
  "tenant_id" TEXT,
  "sealed" TEXT NOT NULL,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "expires_at" TIMESTAMPTZ(3),
  CONSTRAINT "webhook_secrets_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "webhook_secrets_endpoint_id_idx" ON "webhook_secrets" ("endpoint_id");
CREATE INDEX "webhook_secrets_tenant_id_idx" ON "webhook_secrets" ("tenant_id");
ALTER TABLE "webhook_secrets" ADD CONSTRAINT "webhook_secrets_endpoint_id_fkey"
  FOREIGN KEY ("endpoint_id") REFERENCES "webhook_endpoints" ("id") ON DELETE CASCADE ON UPDATE CASCADE;

CREATE TABLE "webhook_deliveries" (
  "id" TEXT NOT NULL,
  "endpoint_id" TEXT NOT NULL,
  "tenant_id" TEXT,
  "event_id" TEXT NOT NULL,
  "event_type" TEXT NOT NULL,
  "state" TEXT NOT NULL,
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "next_attempt_at" TIMESTAMPTZ(6),
  "first_attempt_at" TIMESTAMPTZ(3),
  "last_attempt_at" TIMESTAMPTZ(3),
  "outcome" TEXT,
  "status_code" INTEGER,
  "latency_ms" DOUBLE PRECISION,
  "created_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "webhook_deliveries_pkey" PRIMARY KEY ("id")
);
CREATE UNIQUE INDEX "webhook_deliveries_endpoint_id_event_id_key" ON "webhook_deliveries" ("endpoint_id", "event_id");
CREATE INDEX "webhook_deliveries_endpoint_id_id_idx" ON "webhook_deliveries" ("endpoint_id", "id");
CREATE INDEX "webhook_deliveries_endpoint_id_state_id_idx" ON "webhook_deliveries" ("endpoint_id", "state", "id");
CREATE INDEX "webhook_deliveries_endpoint_id_next_attempt_at_idx" ON "webhook_deliveries" ("endpoint_id", "next_attempt_at");
CREATE INDEX "webhook_deliveries_last_attempt_at_idx" ON "webhook_deliveries" ("last_attempt_at");
CREATE INDEX "webhook_deliveries_tenant_id_idx" ON "webhook_deliveries" ("tenant_id");
ALTER TABLE "webhook_deliveries" ADD CONSTRAINT "webhook_deliveries_endpoint_id_fkey"
  FOREIGN KEY ("endpoint_id") REFERENCES "webhook_endpoints" ("id") ON DELETE CASCADE ON UPDATE CASCADE;

SELECT readapt_isolate('webhook_endpoints');
SELECT readapt_isolate('webhook_secrets');
SELECT readapt_isolate('webhook_deliveries');
