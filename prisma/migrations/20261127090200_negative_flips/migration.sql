-- The gate rows that the version before had right and a published one has wrong: [{row, slices}] with at most 1,000 entries, never
-- their texts.
CREATE TABLE "negative_flips" (
    "adapter_version_id" TEXT NOT NULL,
    "tenant_id" TEXT NOT NULL,
    "dataset_id" TEXT,
    "flips" JSONB NOT NULL,

    CONSTRAINT "negative_flips_pkey" PRIMARY KEY ("adapter_version_id")
);
ALTER TABLE "negative_flips" ADD CONSTRAINT "negative_flips_adapter_version_id_fkey" FOREIGN KEY ("adapter_version_id") REFERENCES "adapter_versions"("id") ON DELETE CASCADE ON UPDATE CASCADE;
ALTER TABLE "negative_flips" ADD CONSTRAINT "negative_flips_bounded" CHECK (jsonb_typeof("flips") = 'array' AND jsonb_array_length("flips") <= 1000);
SELECT readapt_isolate('negative_flips');

-- How many gate rows each slice of a dataset has. Null for datasets from before.
ALTER TABLE "datasets" ADD COLUMN "gate_slices" JSONB;
