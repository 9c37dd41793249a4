-- Work that one process does at a time, such as the sweep.
CREATE TABLE "process_leases" (
  "name" TEXT NOT NULL,
  "owner" TEXT,
  "expires_at" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT "process_leases_pkey" PRIMARY KEY ("name")
);
INSERT INTO "process_leases" ("name") VALUES ('sweeper');
