-- The rollback of a rollout, which goes through its adapters in batches: how far it is, and what it has done.
CREATE TABLE "rollout_rollbacks" (
  "rollout_id" TEXT NOT NULL,
  "after_adapter_id" TEXT,
  "rolled_back" INTEGER NOT NULL DEFAULT 0,
  "left_alone" INTEGER NOT NULL DEFAULT 0,
  "requested_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "finished_at" TIMESTAMPTZ(6),
  CONSTRAINT "rollout_rollbacks_pkey" PRIMARY KEY ("rollout_id")
);
CREATE INDEX "rollout_rollbacks_finished_at_idx" ON "rollout_rollbacks" ("finished_at");
ALTER TABLE "rollout_rollbacks" ADD CONSTRAINT "rollout_rollbacks_rollout_id_fkey"
  FOREIGN KEY ("rollout_id") REFERENCES "rollouts" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
