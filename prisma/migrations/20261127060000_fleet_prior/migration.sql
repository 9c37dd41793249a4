-- Which jobs of the rollout had ended when this one was first started, so that it is given the same searches whenever it resumes.
ALTER TABLE "jobs" ADD COLUMN "fleet_prior" JSONB;
