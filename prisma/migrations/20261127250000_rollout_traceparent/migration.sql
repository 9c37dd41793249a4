-- The span of the request that has created the rollout, which its analysis and its jobs go on from. Null where nothing is traced, and for
-- rollouts of the version before.
ALTER TABLE "rollouts" ADD COLUMN "traceparent" TEXT;
