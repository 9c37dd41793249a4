-- Tells this installation from others. Its artifact store has the same identifier, so that nothing is removed from a store that belongs to
-- another database. A dump and what is restored from it keep it.
CREATE TABLE "installation" (
  "id" INTEGER NOT NULL DEFAULT 1,
  "identifier" TEXT NOT NULL,
  CONSTRAINT "installation_pkey" PRIMARY KEY ("id"),
  CONSTRAINT "installation_one_row" CHECK ("id" = 1)
);
INSERT INTO "installation" ("identifier") VALUES (gen_random_uuid()::text);
