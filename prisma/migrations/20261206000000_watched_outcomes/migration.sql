-- Results on the search rows, with which adapters in training are compared row by row: a digest and a value for each.
ALTER TABLE gate_outcomes ADD COLUMN watched JSONB;
ALTER TABLE anchor_outcomes ADD COLUMN watched JSONB;

CREATE OR REPLACE FUNCTION readapt_keep_anchor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO anchor_outcomes AS kept (
    anchor_version_id, tenant_id, adapter_id, number,
    digest, value, standard_error, values, watched, measured_at)
  SELECT
    v.id, v.tenant_id, v.adapter_id, v.number,
    NEW.digest, NEW.value, NEW.standard_error, NEW.values, NEW.watched, NEW.measured_at
  FROM adapter_versions v
  WHERE v.id = NEW.adapter_version_id AND (
    v.anchor_version_id = v.id OR EXISTS (SELECT FROM anchor_outcomes o WHERE o.anchor_version_id = v.id))
  ON CONFLICT (anchor_version_id) DO UPDATE SET
    digest = EXCLUDED.digest,
    value = EXCLUDED.value,
    standard_error = EXCLUDED.standard_error,
    values = EXCLUDED.values,
    watched = EXCLUDED.watched,
    measured_at = EXCLUDED.measured_at;
  RETURN NULL;
END $$;
