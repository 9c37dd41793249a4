-- What a worker has in memory, the share of the last minutes in which it was busy, and whether the operator wants it to take no jobs
-- without stopping. A worker of the version before writes and reads none of these.
ALTER TABLE "workers" ADD COLUMN "load" DOUBLE PRECISION;
ALTER TABLE "workers" ADD COLUMN "loaded_bases" TEXT[];
ALTER TABLE "workers" ADD COLUMN "idle_requested_at" TIMESTAMPTZ(3);
