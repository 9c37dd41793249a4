-- An adaptation that ends late is published, but it is not its adapter's latest version: an adaptation to a newer base, or a
-- newer import, came first. Publications that came late before this migration are marked by the same rule.
ALTER TABLE "adapter_versions" ADD COLUMN "superseded" BOOLEAN NOT NULL DEFAULT false;

UPDATE "adapter_versions" late SET "superseded" = true
FROM "adapter_versions" source
WHERE late."origin" = 'adapted' AND source."id" = late."parent_version_id"
  AND EXISTS (
    SELECT 1 FROM "adapter_versions" earlier
    WHERE earlier."adapter_id" = late."adapter_id" AND earlier."number" < late."number"
      AND ((earlier."number" >= source."number" AND earlier."base_model_version_id" > late."base_model_version_id")
        OR (earlier."number" > source."number" AND earlier."origin" = 'imported'))
  );
