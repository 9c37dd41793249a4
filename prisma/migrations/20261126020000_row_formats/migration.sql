-- How the rows of an adapter are made into tokens: as its owner has said, and as each job has found.
CREATE TYPE "append_eos_setting" AS ENUM ('auto', 'yes', 'no');
ALTER TABLE "adapters" ADD COLUMN "append_eos" "append_eos_setting" NOT NULL DEFAULT 'auto', ADD COLUMN "max_length" INTEGER;
ALTER TABLE "jobs"
  ADD COLUMN "append_eos" BOOLEAN,
  ADD COLUMN "append_eos_reason" TEXT,
  ADD COLUMN "max_length" INTEGER,
  ADD COLUMN "warnings" TEXT[];
