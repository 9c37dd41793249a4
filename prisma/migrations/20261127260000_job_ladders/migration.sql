-- What became of the rungs of each job, and what the gate said of every candidate: one row for each run of the job, since a retry
-- begins another one. A worker of the version before writes none.
CREATE TABLE "job_ladders" (
    "job_id" TEXT NOT NULL,
    "retried_after" INTEGER NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "strategy" TEXT NOT NULL,
    "ladder" JSONB NOT NULL,
    "updated_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "job_ladders_pkey" PRIMARY KEY ("job_id", "retried_after")
);
ALTER TABLE "job_ladders" ADD CONSTRAINT "job_ladders_job_id_fkey" FOREIGN KEY ("job_id") REFERENCES "jobs"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "job_ladders" ADD CONSTRAINT "job_ladders_bounded" CHECK (jsonb_array_length("ladder" -> 'candidates') <= 100);
SELECT readapt_isolate('job_ladders');
