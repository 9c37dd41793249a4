-- A rollout that goes on during the upgrade shows all of its events. Those of rollouts that have ended are found by their subjects
-- alone: to write the whole table anew would hold up readers of events and jobs until it has ended.
UPDATE "events" e SET "rollout_id" = r."id"
FROM "rollouts" r
WHERE r."finished_at" IS NULL AND e."subject_id" = r."id" AND e."rollout_id" IS NULL;

UPDATE "events" e SET "rollout_id" = j."rollout_id"
FROM "jobs" j JOIN "rollouts" r ON r."id" = j."rollout_id"
WHERE r."finished_at" IS NULL AND e."subject_id" = j."id" AND e."rollout_id" IS NULL;
