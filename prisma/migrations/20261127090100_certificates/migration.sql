-- What the gate certifies of a job's published or best candidate: verdict, confidence, margin, rows and looks. Null for gates without
-- a confidence, and for jobs from before.
ALTER TABLE "jobs" ADD COLUMN "certificate" JSONB;
