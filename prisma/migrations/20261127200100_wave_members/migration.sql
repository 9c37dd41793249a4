-- The adapters that a wave takes by their label, written down when the waves of a rollout are decided
-- (docs/adr/0020-pauses-and-waves.md). All others follow from `wave_limits`.
CREATE TABLE "wave_members" (
  "rollout_id" TEXT NOT NULL,
  "adapter_id" TEXT NOT NULL,
  "wave" INTEGER NOT NULL,
  CONSTRAINT "wave_members_pkey" PRIMARY KEY ("rollout_id", "adapter_id")
);
CREATE INDEX "wave_members_adapter_id_idx" ON "wave_members" ("adapter_id");
ALTER TABLE "wave_members" ADD CONSTRAINT "wave_members_rollout_id_fkey"
  FOREIGN KEY ("rollout_id") REFERENCES "rollouts" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "wave_members" ADD CONSTRAINT "wave_members_adapter_id_fkey"
  FOREIGN KEY ("adapter_id") REFERENCES "adapters" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
