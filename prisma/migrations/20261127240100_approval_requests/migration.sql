-- The requests by which waves of rollouts are approved over HTTP: how often it was asked, and when it is asked again.
CREATE TABLE "approval_requests" (
  "rollout_id" TEXT NOT NULL,
  "wave" INTEGER NOT NULL,
  "attempts" INTEGER NOT NULL DEFAULT 0,
  "next_attempt_at" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  "lease_owner" TEXT,
  "lease_expires_at" TIMESTAMPTZ(6),
  CONSTRAINT "approval_requests_pkey" PRIMARY KEY ("rollout_id", "wave")
);
ALTER TABLE "approval_requests" ADD CONSTRAINT "approval_requests_rollout_id_fkey"
  FOREIGN KEY ("rollout_id") REFERENCES "rollouts" ("id") ON DELETE CASCADE ON UPDATE CASCADE;
