-- That a rollout has ended is told to each tenant with jobs in it, by a copy of the operator's event. The operator does not read the
-- copies. A process of the version before shows them to the operator all the same, until it has ended.
ALTER TABLE "events" ADD COLUMN "is_copy" BOOLEAN NOT NULL DEFAULT false;
