-- Rollouts and jobs can be paused (docs/adr/0020-pauses-and-waves.md). A job in the phase `held` waits because somebody wants it to,
-- not because all workers are busy. New values of an enum can be used only after the transaction that adds them.
ALTER TYPE "rollout_state" ADD VALUE 'paused' AFTER 'adapting';
ALTER TYPE "job_state" ADD VALUE 'held' AFTER 'queued';
ALTER TYPE "job_state" ADD VALUE 'paused' AFTER 'held';
ALTER TYPE "job_phase" ADD VALUE 'held' AFTER 'queue_wait';
