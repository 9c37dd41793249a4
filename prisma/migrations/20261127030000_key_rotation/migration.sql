-- A key can be replaced by another one, with a time in which both can be used.
ALTER TABLE "api_keys" ADD COLUMN "rotated_from_id" TEXT;
CREATE UNIQUE INDEX "api_keys_rotated_from_id_key" ON "api_keys" ("rotated_from_id");
ALTER TABLE "api_keys" ADD CONSTRAINT "api_keys_rotated_from_id_fkey"
  FOREIGN KEY ("rotated_from_id") REFERENCES "api_keys" ("id") ON DELETE SET NULL ON UPDATE CASCADE;
