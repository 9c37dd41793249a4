-- When a rollout was rolled back, so that its answer says it. A trigger keeps it, so that the rollbacks of processes of the version
-- before are noted too.
ALTER TABLE "rollouts" ADD COLUMN "rolled_back_at" TIMESTAMPTZ(6);
UPDATE rollouts r SET rolled_back_at = b.finished_at FROM rollout_rollbacks b
WHERE b.rollout_id = r.id AND b.finished_at IS NOT NULL;

CREATE FUNCTION readapt_note_rollback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE rollouts SET rolled_back_at = NEW.finished_at, updated_at = clock_timestamp()
  WHERE id = NEW.rollout_id AND rolled_back_at IS DISTINCT FROM NEW.finished_at;
  RETURN NULL;
END $$;
CREATE TRIGGER "rollout_rollbacks_note" AFTER INSERT OR UPDATE OF "finished_at" ON "rollout_rollbacks"
  FOR EACH ROW EXECUTE FUNCTION readapt_note_rollback();

-- What a rollback has done to the adapters of each tenant, which is all that a tenant is told of it.
CREATE TABLE "rollback_counts" (
  "rollout_id" TEXT NOT NULL,
  "tenant_id" TEXT NOT NULL,
  "rolled_back" INTEGER NOT NULL,
  "left_alone" INTEGER NOT NULL,
  CONSTRAINT "rollback_counts_pkey" PRIMARY KEY ("rollout_id", "tenant_id")
);
CREATE INDEX "rollback_counts_tenant_id_idx" ON "rollback_counts" ("tenant_id");
ALTER TABLE "rollback_counts" ADD CONSTRAINT "rollback_counts_rollout_id_fkey"
  FOREIGN KEY ("rollout_id") REFERENCES "rollouts" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "rollback_counts" ADD CONSTRAINT "rollback_counts_tenant_id_fkey"
  FOREIGN KEY ("tenant_id") REFERENCES "tenants" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
SELECT readapt_isolate('rollback_counts');

-- Nobody has counted the earlier ones by tenant. What still is as the rollback has left it counts as rolled back.
INSERT INTO rollback_counts (rollout_id, tenant_id, rolled_back, left_alone)
SELECT j.rollout_id, j.tenant_id, count(*) FILTER (WHERE held.is_held), count(*) FILTER (WHERE NOT held.is_held)
FROM rollout_rollbacks b JOIN jobs j ON j.rollout_id = b.rollout_id AND j.kind = 'adaptation'
CROSS JOIN LATERAL (
  SELECT EXISTS (SELECT FROM current_versions c WHERE c.adapter_id = j.adapter_id AND c.held_job_id = j.id) AS is_held
) AS held
WHERE EXISTS (SELECT FROM adapter_versions v WHERE v.job_id = j.id)
  AND (b.finished_at IS NOT NULL OR j.adapter_id <= b.after_adapter_id)
GROUP BY j.rollout_id, j.tenant_id;
