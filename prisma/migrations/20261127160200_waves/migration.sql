-- Waves of a rollout (docs/adr/0020-pauses-and-waves.md). Where it has a policy, `wave_limits` are the largest ranks of all waves but
-- the last, and null until they are decided; `wave` is the last one that was released, and a job of a later one is `held`. What
-- `pause_if` has found up to the wave `waived_wave`, somebody has seen.
ALTER TABLE "rollouts" ADD COLUMN "wave" INTEGER NOT NULL DEFAULT 1;
ALTER TABLE "rollouts" ADD COLUMN "wave_limits" TEXT[];
ALTER TABLE "rollouts" ADD COLUMN "awaiting_approval" BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE "rollouts" ADD COLUMN "waived_wave" INTEGER NOT NULL DEFAULT 0;
ALTER TABLE "jobs" ADD COLUMN "wave" INTEGER;
-- The policy of its rollouts that have none of their own.
ALTER TABLE "base_models" ADD COLUMN "policy" JSONB;
