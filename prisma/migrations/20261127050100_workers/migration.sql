-- Every running worker, as it reports itself, and what the operator asks of it.
CREATE TABLE "workers" (
  "id" TEXT NOT NULL,
  "host" TEXT NOT NULL,
  "pid" INTEGER NOT NULL,
  "version" TEXT NOT NULL,
  "device" TEXT NOT NULL,
  "memory_bytes" BIGINT,
  "state" TEXT NOT NULL,
  "reason" TEXT,
  "quarantined_until" TIMESTAMPTZ(3),
  "current_job" TEXT,
  "jobs_done" INTEGER NOT NULL DEFAULT 0,
  "jobs_failed" INTEGER NOT NULL DEFAULT 0,
  "faults" INTEGER NOT NULL DEFAULT 0,
  "busy_ms" DOUBLE PRECISION NOT NULL DEFAULT 0,
  "tokens_per_second" DOUBLE PRECISION,
  "unreadable_bases" TEXT[],
  "drain_requested_at" TIMESTAMPTZ(3),
  "lift_requested_at" TIMESTAMPTZ(3),
  "started_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "seen_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "stopped_at" TIMESTAMPTZ(3),
  CONSTRAINT "workers_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "workers_state_check" CHECK ("state" IN ('ready', 'draining', 'quarantined'))
);
CREATE INDEX "workers_seen_at_idx" ON "workers" ("seen_at");
