-- Only a job that a worker holds has a lease, so jobs that wait or have ended need no entry in the index of expiries.
DROP INDEX jobs_lease_expires_at_idx;
CREATE INDEX jobs_lease_expires_at_idx ON jobs (lease_expires_at) WHERE lease_expires_at IS NOT NULL;
