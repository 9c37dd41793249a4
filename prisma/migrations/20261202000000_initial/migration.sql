-- The schema of Readapt. schema.prisma describes each column; this file adds the constraints, triggers, functions and
-- policies that Prisma has no words for. Triggers of a table fire in the alphabetical order of their names. Where two
-- indexes of a table look equally cheap, the planner takes the one that was created last, so their order matters.

-- ==== Installation ===================================================================================================

-- The versions that may use the database: those that know `oldest_migration`, even if they do not know later ones.
-- A migration that removes something raises it to the first migration of the versions that no longer use that.
CREATE TABLE schema_window (
  id INTEGER PRIMARY KEY DEFAULT 1,
  oldest_migration TEXT NOT NULL,
  CONSTRAINT schema_window_one_row CHECK (id = 1)
);
INSERT INTO schema_window (oldest_migration) VALUES ('20261202000000_initial');

-- The identifier of this installation. Its artifact store carries the same one, so that no process removes files from
-- the store of another database. Dumps keep it.
CREATE TABLE installation (
  id INTEGER PRIMARY KEY DEFAULT 1,
  identifier TEXT NOT NULL,
  CONSTRAINT installation_one_row CHECK (id = 1)
);
INSERT INTO installation (identifier) VALUES (gen_random_uuid()::text);

-- Leases on work that one process does at a time.
CREATE TABLE process_leases (
  name TEXT PRIMARY KEY,
  owner TEXT,
  expires_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
INSERT INTO process_leases (name) VALUES ('sweeper');

-- Jobs to be enqueued after the commit. The sweeper enqueues those that were missed.
CREATE TABLE outbox (
  id BIGSERIAL PRIMARY KEY,
  queue TEXT NOT NULL,
  job_id TEXT NOT NULL,
  payload JSONB NOT NULL,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE UNIQUE INDEX outbox_queue_job_id_key ON outbox (queue, job_id);
CREATE INDEX outbox_created_at_id_idx ON outbox (created_at, id);

-- Worker processes, as they report themselves, and the operator's requests to them.
CREATE TABLE workers (
  id TEXT PRIMARY KEY,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  version TEXT NOT NULL,
  device TEXT NOT NULL,
  memory_bytes BIGINT,
  state TEXT NOT NULL CHECK (state IN ('ready', 'draining', 'quarantined')),
  reason TEXT,
  quarantined_until TIMESTAMPTZ(3),
  current_job TEXT,
  jobs_done INTEGER NOT NULL DEFAULT 0,
  jobs_failed INTEGER NOT NULL DEFAULT 0,
  faults INTEGER NOT NULL DEFAULT 0,
  busy_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
  tokens_per_second DOUBLE PRECISION,
  load DOUBLE PRECISION,
  loaded_bases TEXT[],
  unreadable_bases TEXT[],
  drain_requested_at TIMESTAMPTZ(3),
  lift_requested_at TIMESTAMPTZ(3),
  idle_requested_at TIMESTAMPTZ(3),
  started_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  seen_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  stopped_at TIMESTAMPTZ(3)
);
CREATE INDEX workers_seen_at_idx ON workers (seen_at);

-- ==== Tenants ========================================================================================================

CREATE TABLE tenants (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  quotas JSONB,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

  deleted_at TIMESTAMPTZ(3),
  collection_began_at TIMESTAMPTZ(3),
  events_pruned_transaction_id BIGINT NOT NULL DEFAULT 0,
  events_pruned_seq BIGINT NOT NULL DEFAULT 0,
  audit_pruned_transaction_id BIGINT NOT NULL DEFAULT 0,
  audit_pruned_seq BIGINT NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX tenants_name_key ON tenants (name);

-- Keys of tenants and, without a tenant, of the operator. Only hashes of secrets are stored.
CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  tenant_id TEXT REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  name TEXT NOT NULL,
  prefix TEXT NOT NULL,
  secret_hash TEXT NOT NULL,
  scopes TEXT[],
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  last_used_at TIMESTAMPTZ(3),
  expires_at TIMESTAMPTZ(3),
  revoked_at TIMESTAMPTZ(3),
  rotated_from_id TEXT REFERENCES api_keys ON DELETE SET NULL ON UPDATE CASCADE
);
CREATE UNIQUE INDEX api_keys_prefix_key ON api_keys (prefix);
CREATE INDEX api_keys_tenant_id_id_idx ON api_keys (tenant_id, id);
CREATE UNIQUE INDEX api_keys_rotated_from_id_key ON api_keys (rotated_from_id);

-- Stored answers of requests with an Idempotency-Key.
CREATE TABLE idempotency_records (
  principal TEXT NOT NULL,
  key TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  body_bytes BIGINT,
  status_code INTEGER,
  response JSONB,
  claim_id TEXT,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (principal, key)
);
CREATE INDEX idempotency_records_created_at_idx ON idempotency_records (created_at);

-- Token buckets of the rate limit, shared by all API processes. The table is unlogged because a crash loses only the
-- requests of the last minute.
CREATE UNLOGGED TABLE rate_buckets (
  id TEXT PRIMARY KEY,
  tenant_id TEXT REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  per_minute DOUBLE PRECISION NOT NULL,
  tokens DOUBLE PRECISION NOT NULL,
  granted DOUBLE PRECISION NOT NULL,
  refilled_at TIMESTAMPTZ(6) NOT NULL
);
CREATE INDEX rate_buckets_tenant_id_idx ON rate_buckets (tenant_id);

-- Counts that quotas are checked against, kept by triggers so that a check costs the same for every tenant.
CREATE TABLE tenant_usage (
  tenant_id TEXT PRIMARY KEY REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  adapters BIGINT NOT NULL DEFAULT 0,
  dataset_rows BIGINT NOT NULL DEFAULT 0,
  stored_bytes BIGINT NOT NULL DEFAULT 0
);

-- Adds the rows of one statement to the usage of their tenants. The argument computes the three counts from the
-- changed rows. Tenants are updated in the order of their identifiers, so that two transactions cannot deadlock.
CREATE FUNCTION readapt_count_usage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  counted RECORD;
  sign INT := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
  FOR counted IN EXECUTE format('SELECT tenant_id, %s FROM changed GROUP BY tenant_id ORDER BY tenant_id', TG_ARGV[0])
  LOOP
    IF TG_OP = 'INSERT' THEN
      INSERT INTO tenant_usage (tenant_id) VALUES (counted.tenant_id) ON CONFLICT DO NOTHING;
    END IF;
    UPDATE tenant_usage SET
      adapters = adapters + sign * counted.adapters,
      dataset_rows = dataset_rows + sign * counted.dataset_rows,
      stored_bytes = stored_bytes + sign * counted.stored_bytes
    WHERE tenant_id = counted.tenant_id;
  END LOOP;
  RETURN NULL;
END $$;

-- Bytes of a quota that running uploads have reserved.
CREATE TABLE upload_reservations (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  bytes BIGINT NOT NULL,
  expires_at TIMESTAMPTZ(6) NOT NULL,
  CONSTRAINT upload_reservations_not_negative CHECK (bytes >= 0)
);
CREATE INDEX upload_reservations_tenant_id_idx ON upload_reservations (tenant_id);

-- Periods for which a worker has held a device for a tenant. Only periods that have ended are listed.
CREATE TABLE device_uses (
  id BIGSERIAL PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  job_id TEXT NOT NULL,
  started_at TIMESTAMPTZ(6) NOT NULL,
  ended_at TIMESTAMPTZ(6) NOT NULL
);
CREATE INDEX device_uses_tenant_id_ended_at_idx ON device_uses (tenant_id, ended_at);
CREATE INDEX device_uses_ended_at_idx ON device_uses (ended_at);
CREATE INDEX device_uses_job_id_idx ON device_uses (job_id);

-- ==== Artifacts ======================================================================================================

-- Content-addressed files and folders in the artifact store.
CREATE TABLE artifacts (
  digest TEXT PRIMARY KEY CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
  kind TEXT NOT NULL,
  bytes BIGINT NOT NULL CHECK (bytes >= 0),
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- Tenants have no privileges on artifacts, because whoever can name a digest in a row of their own can download it.
-- Their requests register content that they have, and ask for the size of content that they can name.
CREATE FUNCTION readapt_register_artifact(digest text, kind text, bytes bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
  INSERT INTO artifacts (digest, kind, bytes) VALUES ($1, $2, $3)
  ON CONFLICT (digest) DO UPDATE SET created_at = clock_timestamp()
$$;

CREATE FUNCTION readapt_artifact_bytes(digest text) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT a.bytes FROM artifacts a WHERE a.digest = $1
$$;

-- ==== Base models ====================================================================================================

CREATE TABLE base_models (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  policy JSONB,
  serving_profile JSONB,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE UNIQUE INDEX base_models_name_key ON base_models (name);

-- Uploads of base models: the announced files and the parts that have arrived.
CREATE TABLE base_model_uploads (
  id TEXT PRIMARY KEY,
  state TEXT NOT NULL DEFAULT 'open',
  files_digest TEXT NOT NULL,
  bytes BIGINT NOT NULL,
  part_bytes INTEGER NOT NULL,
  error JSONB,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  completed_at TIMESTAMPTZ(3),
  expires_at TIMESTAMPTZ(3),
  next_attempt_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  attempts INTEGER NOT NULL DEFAULT 0,
  lease_owner TEXT,
  lease_expires_at TIMESTAMPTZ(6)
);
CREATE INDEX base_model_uploads_state_id_idx ON base_model_uploads (state, id);
CREATE INDEX base_model_uploads_files_digest_id_idx ON base_model_uploads (files_digest, id);
CREATE INDEX base_model_uploads_expires_at_idx ON base_model_uploads (expires_at);

CREATE TABLE base_model_upload_files (
  upload_id TEXT NOT NULL REFERENCES base_model_uploads ON DELETE CASCADE ON UPDATE CASCADE,
  name TEXT NOT NULL,
  size BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  verified_bytes BIGINT NOT NULL DEFAULT 0,
  contents JSONB,
  PRIMARY KEY (upload_id, name)
);

-- Parts that have arrived. The reference keeps the collector from removing the artifact of one.
CREATE TABLE base_model_upload_parts (
  upload_id TEXT NOT NULL,
  file_name TEXT NOT NULL,
  number INTEGER NOT NULL,
  artifact_digest TEXT NOT NULL REFERENCES artifacts ON DELETE RESTRICT ON UPDATE CASCADE,
  PRIMARY KEY (upload_id, file_name, number),
  FOREIGN KEY (upload_id, file_name)
    REFERENCES base_model_upload_files ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX base_model_upload_parts_artifact_digest_idx ON base_model_upload_parts (artifact_digest);

CREATE TYPE base_model_version_state AS ENUM ('registered', 'verified', 'failed');

CREATE TABLE base_model_versions (
  id TEXT PRIMARY KEY,
  base_model_id TEXT NOT NULL REFERENCES base_models ON DELETE RESTRICT ON UPDATE CASCADE,
  version TEXT NOT NULL,
  path TEXT NOT NULL,
  source JSONB,
  source_files JSONB,
  source_config JSONB,
  source_key TEXT,
  upload_id TEXT REFERENCES base_model_uploads ON DELETE RESTRICT ON UPDATE CASCADE,
  serving_name TEXT NOT NULL,
  state base_model_version_state NOT NULL DEFAULT 'registered',
  fingerprint TEXT,
  config JSONB,
  parameters BIGINT,
  error JSONB,
  retires_at TIMESTAMPTZ(3),
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE UNIQUE INDEX base_model_versions_base_model_id_version_key ON base_model_versions (base_model_id, version);
CREATE INDEX base_model_versions_base_model_id_id_idx ON base_model_versions (base_model_id, id);
CREATE INDEX base_model_versions_upload_id_idx ON base_model_versions (upload_id);

-- Sealed tokens of private sources. Tenants have no privileges on them.
CREATE TABLE base_source_tokens (
  base_model_version_id TEXT PRIMARY KEY REFERENCES base_model_versions ON DELETE CASCADE ON UPDATE CASCADE,
  sealed TEXT NOT NULL
);

CREATE TYPE evolution_state AS ENUM ('pending', 'ready', 'failed');

-- Changes from an old to a new base model version, computed once for each pair and shared by all tenants.
CREATE TABLE evolutions (
  id TEXT PRIMARY KEY,
  old_base_model_version_id TEXT NOT NULL REFERENCES base_model_versions ON DELETE RESTRICT ON UPDATE CASCADE,
  new_base_model_version_id TEXT NOT NULL REFERENCES base_model_versions ON DELETE RESTRICT ON UPDATE CASCADE,
  state evolution_state NOT NULL DEFAULT 'pending',
  rank INTEGER,
  drift DOUBLE PRECISION,
  summary JSONB,
  differences JSONB,
  artifact_digest TEXT,
  compute_ms DOUBLE PRECISION,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT evolutions_versions_check CHECK (old_base_model_version_id <> new_base_model_version_id)
);
CREATE UNIQUE INDEX evolutions_old_base_model_version_id_new_base_model_version_key
  ON evolutions (old_base_model_version_id, new_base_model_version_id);
CREATE INDEX evolutions_new_base_model_version_id_idx ON evolutions (new_base_model_version_id);

-- ==== Datasets and adapters ==========================================================================================

CREATE TABLE datasets (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  name TEXT NOT NULL,
  artifact_digest TEXT NOT NULL,
  rows INTEGER NOT NULL,
  bytes BIGINT NOT NULL,
  splits JSONB NOT NULL,
  gate_slices JSONB,
  prompts_only BOOLEAN NOT NULL DEFAULT false,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  deleted_at TIMESTAMPTZ(3),
  CONSTRAINT datasets_rows_check CHECK (rows > 0 AND bytes > 0)
);
CREATE UNIQUE INDEX datasets_tenant_id_name_key ON datasets (tenant_id, name);
CREATE INDEX datasets_tenant_id_id_idx ON datasets (tenant_id, id);
CREATE INDEX datasets_name_id_idx ON datasets (name, id);
CREATE INDEX datasets_artifact_digest_idx ON datasets (artifact_digest);
CREATE INDEX datasets_deleted_at_idx ON datasets (deleted_at);

CREATE TRIGGER datasets_count_inserted AFTER INSERT ON datasets
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION readapt_count_usage('0 AS adapters, sum(rows) AS dataset_rows, sum(bytes) AS stored_bytes');
CREATE TRIGGER datasets_count_deleted AFTER DELETE ON datasets
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION readapt_count_usage('0 AS adapters, sum(rows) AS dataset_rows, sum(bytes) AS stored_bytes');

CREATE TYPE append_eos_setting AS ENUM ('auto', 'yes', 'no');

CREATE TABLE adapters (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  base_model_id TEXT NOT NULL REFERENCES base_models ON DELETE RESTRICT ON UPDATE CASCADE,
  dataset_id TEXT REFERENCES datasets ON DELETE SET NULL ON UPDATE CASCADE,
  name TEXT NOT NULL,
  metric TEXT NOT NULL CHECK (metric IN ('accuracy', 'exact_match', 'rouge_l', 'token_f1', 'loss')),
  gate JSONB NOT NULL,
  append_eos append_eos_setting NOT NULL DEFAULT 'auto',
  max_length INTEGER,
  pinned_base_model_version_id TEXT REFERENCES base_model_versions ON DELETE SET NULL ON UPDATE CASCADE,
  approval TEXT NOT NULL DEFAULT 'none',
  labels JSONB NOT NULL DEFAULT '{}',
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  deleted_at TIMESTAMPTZ(3),
  collection_began_at TIMESTAMPTZ(3)
);
CREATE UNIQUE INDEX adapters_tenant_id_name_key ON adapters (tenant_id, name);
CREATE INDEX adapters_base_model_id_idx ON adapters (base_model_id);
CREATE INDEX adapters_tenant_id_id_idx ON adapters (tenant_id, id);
CREATE INDEX adapters_name_id_idx ON adapters (name, id);
CREATE INDEX adapters_dataset_id_idx ON adapters (dataset_id);
CREATE INDEX adapters_deleted_at_idx ON adapters (deleted_at);

CREATE TRIGGER adapters_count_inserted AFTER INSERT ON adapters
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION readapt_count_usage('count(*) AS adapters, 0 AS dataset_rows, 0 AS stored_bytes');
CREATE TRIGGER adapters_count_deleted AFTER DELETE ON adapters
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION readapt_count_usage('count(*) AS adapters, 0 AS dataset_rows, 0 AS stored_bytes');

-- Index of `adapters.labels`. It is a table because an index on JSON helps neither sorted lists nor tenants, for whom
-- PostgreSQL looks into JSON only after it has applied row-level security.
CREATE TABLE adapter_labels (
  adapter_id TEXT NOT NULL REFERENCES adapters ON DELETE CASCADE ON UPDATE CASCADE,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  PRIMARY KEY (adapter_id, key)
);
CREATE INDEX adapter_labels_key_value_adapter_id_idx ON adapter_labels (key, value, adapter_id);
CREATE INDEX adapter_labels_tenant_id_key_value_adapter_id_idx ON adapter_labels (tenant_id, key, value, adapter_id);

CREATE FUNCTION readapt_index_labels() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  DELETE FROM adapter_labels WHERE adapter_id = NEW.id;
  INSERT INTO adapter_labels (adapter_id, key, value, tenant_id)
  SELECT NEW.id, l.key, l.value, NEW.tenant_id FROM jsonb_each_text(NEW.labels) AS l;
  RETURN NULL;
END $$;

CREATE TRIGGER adapters_index_first_labels AFTER INSERT ON adapters
  FOR EACH ROW WHEN (NEW.labels <> '{}') EXECUTE FUNCTION readapt_index_labels();
CREATE TRIGGER adapters_index_labels AFTER UPDATE OF labels ON adapters
  FOR EACH ROW WHEN (OLD.labels <> NEW.labels) EXECUTE FUNCTION readapt_index_labels();

-- Versions of adapters. `anchor_version_id` has no foreign key because it outlives the version that it names.
CREATE TABLE adapter_versions (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  adapter_id TEXT NOT NULL REFERENCES adapters ON DELETE CASCADE ON UPDATE CASCADE,
  base_model_version_id TEXT NOT NULL REFERENCES base_model_versions ON DELETE RESTRICT ON UPDATE CASCADE,
  parent_version_id TEXT REFERENCES adapter_versions ON DELETE SET NULL ON UPDATE CASCADE,
  number INTEGER NOT NULL CHECK (number > 0),
  origin TEXT NOT NULL CHECK (origin IN ('imported', 'adapted')),
  source JSONB,
  artifact_digest TEXT NOT NULL,
  bytes BIGINT NOT NULL DEFAULT 0,
  rank INTEGER NOT NULL CHECK (rank > 0),
  lora_alpha DOUBLE PRECISION NOT NULL,
  served_features JSONB,
  strategy TEXT,
  fusion_alpha DOUBLE PRECISION,
  fusion_beta DOUBLE PRECISION,
  metrics JSONB,
  job_id TEXT,
  superseded BOOLEAN NOT NULL DEFAULT false,
  provisional BOOLEAN NOT NULL DEFAULT false,
  anchor_version_id TEXT,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  deleted_at TIMESTAMPTZ(3)
);
CREATE UNIQUE INDEX adapter_versions_adapter_id_number_key ON adapter_versions (adapter_id, number);
CREATE INDEX adapter_versions_base_model_version_id_idx ON adapter_versions (base_model_version_id);
CREATE INDEX adapter_versions_tenant_id_id_idx ON adapter_versions (tenant_id, id);
CREATE INDEX adapter_versions_adapter_id_id_idx ON adapter_versions (adapter_id, id);
CREATE INDEX adapter_versions_job_id_idx ON adapter_versions (job_id);
CREATE INDEX adapter_versions_parent_version_id_idx ON adapter_versions (parent_version_id);
CREATE INDEX adapter_versions_artifact_digest_idx ON adapter_versions (artifact_digest);
CREATE INDEX adapter_versions_deleted_at_idx ON adapter_versions (deleted_at);

CREATE TRIGGER adapter_versions_count_inserted AFTER INSERT ON adapter_versions
  REFERENCING NEW TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION readapt_count_usage('0 AS adapters, 0 AS dataset_rows, sum(bytes) AS stored_bytes');
CREATE TRIGGER adapter_versions_count_deleted AFTER DELETE ON adapter_versions
  REFERENCING OLD TABLE AS changed FOR EACH STATEMENT
  EXECUTE FUNCTION readapt_count_usage('0 AS adapters, 0 AS dataset_rows, sum(bytes) AS stored_bytes');

-- Makes an import its own anchor, and hands the anchor of a parent on to the versions that are adapted from it.
CREATE FUNCTION readapt_default_anchor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.anchor_version_id := COALESCE(
    NEW.anchor_version_id,
    (SELECT COALESCE(p.anchor_version_id, p.id) FROM adapter_versions p WHERE p.id = NEW.parent_version_id),
    NEW.id);
  RETURN NEW;
END $$;

CREATE TRIGGER adapter_versions_anchor BEFORE INSERT ON adapter_versions
  FOR EACH ROW EXECUTE FUNCTION readapt_default_anchor();

-- ==== Current versions ===============================================================================================

-- The version of each adapter that should be served on a base model version.
CREATE TABLE current_versions (
  adapter_id TEXT NOT NULL REFERENCES adapters ON DELETE CASCADE ON UPDATE CASCADE,
  base_model_version_id TEXT NOT NULL REFERENCES base_model_versions ON DELETE RESTRICT ON UPDATE CASCADE,
  tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  adapter_version_id TEXT REFERENCES adapter_versions ON DELETE SET NULL ON UPDATE CASCADE,
  previous_version_id TEXT,
  source_number INTEGER NOT NULL DEFAULT 0,
  held_job_id TEXT,
  changed_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  change_transaction_id BIGINT NOT NULL DEFAULT 0,
  change_seq BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (adapter_id, base_model_version_id)
);
CREATE INDEX current_versions_base_model_version_id_adapter_id_idx
  ON current_versions (base_model_version_id, adapter_id);
CREATE INDEX current_versions_tenant_id_base_model_version_id_adapter_id_idx
  ON current_versions (tenant_id, base_model_version_id, adapter_id);
CREATE INDEX current_versions_adapter_version_id_idx ON current_versions (adapter_version_id);
CREATE INDEX current_versions_changes_idx
  ON current_versions (base_model_version_id, change_transaction_id, change_seq);
CREATE INDEX current_versions_tenant_changes_idx
  ON current_versions (tenant_id, base_model_version_id, change_transaction_id, change_seq);

-- Makes a published version current on its base, unless it comes from an earlier version than the last one published
-- there, or from a job whose version was taken back. A provisional version becomes current only where there was none,
-- counts as coming before all others, and is nothing to go back to.
CREATE FUNCTION readapt_make_current() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  source INTEGER :=
    COALESCE((SELECT p.number FROM adapter_versions p WHERE p.id = NEW.parent_version_id), NEW.number);
BEGIN
  IF NEW.provisional THEN
    INSERT INTO current_versions
      (adapter_id, base_model_version_id, tenant_id, adapter_version_id, source_number, changed_at)
    VALUES (NEW.adapter_id, NEW.base_model_version_id, NEW.tenant_id, NEW.id, 0, clock_timestamp())
    ON CONFLICT (adapter_id, base_model_version_id) DO NOTHING;
    RETURN NULL;
  END IF;
  INSERT INTO current_versions AS c
    (adapter_id, base_model_version_id, tenant_id, adapter_version_id, source_number, changed_at)
  VALUES (NEW.adapter_id, NEW.base_model_version_id, NEW.tenant_id, NEW.id, source, clock_timestamp())
  ON CONFLICT (adapter_id, base_model_version_id) DO UPDATE SET
    -- Later publications of one job keep the version that was current before its first one.
    previous_version_id = CASE
      WHEN EXISTS (
        SELECT FROM adapter_versions v
        WHERE v.id = c.adapter_version_id AND (v.job_id = NEW.job_id OR v.provisional))
      THEN c.previous_version_id
      ELSE c.adapter_version_id
    END,
    adapter_version_id = EXCLUDED.adapter_version_id,
    source_number = EXCLUDED.source_number,
    held_job_id = NULL,
    changed_at = EXCLUDED.changed_at
  WHERE EXCLUDED.source_number >= c.source_number AND (NEW.job_id IS NULL OR c.held_job_id IS DISTINCT FROM NEW.job_id);
  RETURN NULL;
END $$;

CREATE TRIGGER adapter_versions_make_current AFTER INSERT ON adapter_versions
  FOR EACH ROW WHEN (NEW.deleted_at IS NULL) EXECUTE FUNCTION readapt_make_current();

-- Leaves nothing current where a current version is deleted, as `readapt doctor` does with one whose files are lost.
CREATE FUNCTION readapt_unmake_current() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE current_versions SET adapter_version_id = NULL, previous_version_id = NULL, changed_at = clock_timestamp()
  WHERE adapter_version_id = NEW.id;
  RETURN NULL;
END $$;

CREATE TRIGGER adapter_versions_unmake_current AFTER UPDATE OF deleted_at ON adapter_versions
  FOR EACH ROW WHEN (OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL) EXECUTE FUNCTION readapt_unmake_current();

-- Forgets a removed version as the one to go back to.
CREATE FUNCTION readapt_forget_previous() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE current_versions SET previous_version_id = NULL
  WHERE adapter_id = OLD.adapter_id AND previous_version_id = OLD.id;
  RETURN NULL;
END $$;

CREATE TRIGGER adapter_versions_forget_previous AFTER DELETE ON adapter_versions
  FOR EACH ROW EXECUTE FUNCTION readapt_forget_previous();

-- Followers read current versions in the order of their changes. These three triggers note a change where an adapter
-- or tenant is deleted or undeleted, and where a base model version gets another name or its fingerprint.
CREATE FUNCTION readapt_note_served_adapter() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE current_versions SET change_seq = change_seq WHERE adapter_id = NEW.id;
  RETURN NULL;
END $$;

CREATE TRIGGER adapters_note_served AFTER UPDATE OF deleted_at ON adapters
  FOR EACH ROW WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at) EXECUTE FUNCTION readapt_note_served_adapter();

CREATE FUNCTION readapt_note_served_tenant() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE current_versions SET change_seq = change_seq WHERE tenant_id = NEW.id;
  RETURN NULL;
END $$;

CREATE TRIGGER tenants_note_served AFTER UPDATE OF deleted_at ON tenants
  FOR EACH ROW WHEN (OLD.deleted_at IS DISTINCT FROM NEW.deleted_at) EXECUTE FUNCTION readapt_note_served_tenant();

CREATE FUNCTION readapt_note_served_base() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  UPDATE current_versions SET change_seq = change_seq WHERE base_model_version_id = NEW.id;
  RETURN NULL;
END $$;

CREATE TRIGGER base_model_versions_note_served AFTER UPDATE OF fingerprint, serving_name ON base_model_versions
  FOR EACH ROW
  WHEN (OLD.fingerprint IS DISTINCT FROM NEW.fingerprint OR OLD.serving_name IS DISTINCT FROM NEW.serving_name)
  EXECUTE FUNCTION readapt_note_served_base();

-- ==== Results on gate rows ===========================================================================================

-- Results of an adapter version on each gate row, which the gate compares its successor with.
CREATE TABLE gate_outcomes (
  adapter_version_id TEXT PRIMARY KEY REFERENCES adapter_versions ON DELETE CASCADE ON UPDATE CASCADE,
  tenant_id TEXT NOT NULL,
  digest TEXT NOT NULL CHECK (digest ~ '^sha256:[0-9a-f]{64}$'),
  value DOUBLE PRECISION NOT NULL,
  standard_error DOUBLE PRECISION NOT NULL,
  values DOUBLE PRECISION[],
  measured_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- Results of anchors, which stay as long as the adapter even if the version itself is removed.
CREATE TABLE anchor_outcomes (
  anchor_version_id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  adapter_id TEXT NOT NULL REFERENCES adapters ON DELETE CASCADE ON UPDATE CASCADE,
  number INTEGER NOT NULL,
  digest TEXT NOT NULL,
  value DOUBLE PRECISION NOT NULL,
  standard_error DOUBLE PRECISION NOT NULL,
  values DOUBLE PRECISION[],
  measured_at TIMESTAMPTZ(6) NOT NULL
);
CREATE INDEX anchor_outcomes_adapter_id_idx ON anchor_outcomes (adapter_id);

-- Copies the results of an anchor, however they were measured.
CREATE FUNCTION readapt_keep_anchor() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO anchor_outcomes AS kept (
    anchor_version_id, tenant_id, adapter_id, number,
    digest, value, standard_error, values, measured_at)
  SELECT
    v.id, v.tenant_id, v.adapter_id, v.number,
    NEW.digest, NEW.value, NEW.standard_error, NEW.values, NEW.measured_at
  FROM adapter_versions v
  WHERE v.id = NEW.adapter_version_id AND (
    v.anchor_version_id = v.id OR EXISTS (SELECT FROM anchor_outcomes o WHERE o.anchor_version_id = v.id))
  ON CONFLICT (anchor_version_id) DO UPDATE SET
    digest = EXCLUDED.digest,
    value = EXCLUDED.value,
    standard_error = EXCLUDED.standard_error,
    values = EXCLUDED.values,
    measured_at = EXCLUDED.measured_at;
  RETURN NULL;
END $$;

CREATE TRIGGER gate_outcomes_keep_anchor AFTER INSERT OR UPDATE ON gate_outcomes
  FOR EACH ROW EXECUTE FUNCTION readapt_keep_anchor();

-- Adapter versions whose results an idle worker is to measure. A row is removed when they are measured.
CREATE TABLE outcome_requests (
  adapter_version_id TEXT PRIMARY KEY REFERENCES adapter_versions ON DELETE CASCADE ON UPDATE CASCADE,
  tenant_id TEXT NOT NULL,
  requested_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  queued BOOLEAN NOT NULL DEFAULT false,
  attempt INTEGER NOT NULL DEFAULT 0,
  lease_owner TEXT,
  lease_expires_at TIMESTAMPTZ(6),
  leased_at TIMESTAMPTZ(6)
);
CREATE INDEX outcome_requests_queued_tenant_id_adapter_version_id_idx
  ON outcome_requests (queued, tenant_id, adapter_version_id);

-- Counts a measurement as use of a device, except for a tenant that is being removed.
CREATE FUNCTION readapt_note_measurement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO device_uses (tenant_id, job_id, started_at, ended_at)
  SELECT OLD.tenant_id, OLD.adapter_version_id, OLD.leased_at,
    GREATEST(OLD.leased_at, LEAST(clock_timestamp(), OLD.lease_expires_at))
  WHERE EXISTS (SELECT FROM tenants t WHERE t.id = OLD.tenant_id);
  RETURN NULL;
END $$;

CREATE TRIGGER outcome_requests_note_lease AFTER UPDATE ON outcome_requests
  FOR EACH ROW WHEN (OLD.lease_owner IS NOT NULL AND OLD.lease_owner IS DISTINCT FROM NEW.lease_owner)
  EXECUTE FUNCTION readapt_note_measurement();
CREATE TRIGGER outcome_requests_note_end AFTER DELETE ON outcome_requests
  FOR EACH ROW WHEN (OLD.lease_owner IS NOT NULL) EXECUTE FUNCTION readapt_note_measurement();

-- Gate rows that the previous version had right and a published one has wrong, at most 1,000, never with their texts.
CREATE TABLE negative_flips (
  adapter_version_id TEXT PRIMARY KEY REFERENCES adapter_versions ON DELETE CASCADE ON UPDATE CASCADE,
  tenant_id TEXT NOT NULL,
  dataset_id TEXT,
  flips JSONB NOT NULL,
  CONSTRAINT negative_flips_bounded CHECK (jsonb_typeof(flips) = 'array' AND jsonb_array_length(flips) <= 1000)
);

-- ==== Rollouts =======================================================================================================

CREATE TYPE rollout_state AS ENUM (
  'planning', 'analyzing', 'adapting', 'paused', 'completed', 'failed', 'cancelled');

CREATE TABLE rollouts (
  id TEXT PRIMARY KEY,
  base_model_version_id TEXT NOT NULL REFERENCES base_model_versions ON DELETE RESTRICT ON UPDATE CASCADE,
  state rollout_state NOT NULL DEFAULT 'planning',
  options JSONB NOT NULL,
  error JSONB,
  attempt INTEGER NOT NULL DEFAULT 0,
  excused_attempts INTEGER NOT NULL DEFAULT 0,
  wave INTEGER NOT NULL DEFAULT 1,
  wave_limits TEXT[],
  left_out JSONB,
  awaiting_approval BOOLEAN NOT NULL DEFAULT false,
  waived_wave INTEGER NOT NULL DEFAULT 0,
  accepted_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  analysis_started_at TIMESTAMPTZ(6),
  planned_at TIMESTAMPTZ(6),
  paused_at TIMESTAMPTZ(6),
  paused_reason JSONB,
  jobs_follow BOOLEAN NOT NULL DEFAULT false,
  held_waiting_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
  held_analyzing_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
  deadline TIMESTAMPTZ(6),
  deadline_missed_at TIMESTAMPTZ(6),
  budget_from DOUBLE PRECISION NOT NULL DEFAULT 0,
  superseded_by_id TEXT REFERENCES rollouts ON DELETE SET NULL ON UPDATE CASCADE,
  finished_at TIMESTAMPTZ(6),
  rolled_back_at TIMESTAMPTZ(6),
  updated_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  traceparent TEXT,
  fetches JSONB
);
CREATE INDEX rollouts_state_id_idx ON rollouts (state, id);
CREATE INDEX rollouts_state_finished_at_idx ON rollouts (state, finished_at);
CREATE INDEX rollouts_base_model_version_id_idx ON rollouts (base_model_version_id);
CREATE INDEX rollouts_superseded_by_id_idx ON rollouts (superseded_by_id);

-- Predictions of rollouts, made for one that exists or only asked for.
CREATE TABLE rollout_forecasts (
  id TEXT PRIMARY KEY,
  base_model_version_id TEXT NOT NULL REFERENCES base_model_versions ON DELETE RESTRICT ON UPDATE CASCADE,
  rollout_id TEXT REFERENCES rollouts ON DELETE CASCADE ON UPDATE CASCADE,
  state TEXT NOT NULL CHECK (state IN ('queued', 'computing', 'computed', 'failed')),
  options JSONB NOT NULL,
  error JSONB,
  result JSONB,
  attempt INTEGER NOT NULL DEFAULT 0,
  excused_attempts INTEGER NOT NULL DEFAULT 0,
  requested_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  computed_at TIMESTAMPTZ(6)
);
CREATE UNIQUE INDEX rollout_forecasts_rollout_id_key ON rollout_forecasts (rollout_id);
CREATE INDEX rollout_forecasts_base_model_version_id_id_idx ON rollout_forecasts (base_model_version_id, id);
CREATE INDEX rollout_forecasts_state_id_idx ON rollout_forecasts (state, id);

-- Rollbacks of rollouts, which go through the adapters in batches.
CREATE TABLE rollout_rollbacks (
  rollout_id TEXT PRIMARY KEY REFERENCES rollouts ON DELETE CASCADE ON UPDATE CASCADE,
  after_adapter_id TEXT,
  rolled_back INTEGER NOT NULL DEFAULT 0,
  left_alone INTEGER NOT NULL DEFAULT 0,
  requested_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  finished_at TIMESTAMPTZ(6)
);
CREATE INDEX rollout_rollbacks_finished_at_idx ON rollout_rollbacks (finished_at);

-- Copies the end of a rollback to its rollout.
CREATE FUNCTION readapt_note_rollback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE rollouts SET rolled_back_at = NEW.finished_at, updated_at = clock_timestamp()
  WHERE id = NEW.rollout_id AND rolled_back_at IS DISTINCT FROM NEW.finished_at;
  RETURN NULL;
END $$;

CREATE TRIGGER rollout_rollbacks_note AFTER INSERT OR UPDATE OF finished_at ON rollout_rollbacks
  FOR EACH ROW EXECUTE FUNCTION readapt_note_rollback();

-- Effect of a rollback on the adapters of one tenant, which is all of it that the tenant sees.
CREATE TABLE rollback_counts (
  rollout_id TEXT NOT NULL REFERENCES rollouts ON DELETE CASCADE ON UPDATE CASCADE,
  tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  rolled_back INTEGER NOT NULL,
  left_alone INTEGER NOT NULL,
  PRIMARY KEY (rollout_id, tenant_id)
);
CREATE INDEX rollback_counts_tenant_id_idx ON rollback_counts (tenant_id);

-- Adapters that a wave takes by their label. The waves of all others follow from `rollouts.wave_limits`.
CREATE TABLE wave_members (
  rollout_id TEXT NOT NULL REFERENCES rollouts ON DELETE CASCADE ON UPDATE CASCADE,
  adapter_id TEXT NOT NULL REFERENCES adapters ON DELETE CASCADE ON UPDATE CASCADE,
  wave INTEGER NOT NULL,
  PRIMARY KEY (rollout_id, adapter_id)
);
CREATE INDEX wave_members_adapter_id_idx ON wave_members (adapter_id);

-- Adapters that were imported during a rollout whose policy lets them join. A row is removed when the adapter has its
-- job or the rollout has ended.
CREATE TABLE late_adapters (
  rollout_id TEXT NOT NULL REFERENCES rollouts ON DELETE CASCADE ON UPDATE CASCADE,
  adapter_id TEXT NOT NULL REFERENCES adapters ON DELETE CASCADE ON UPDATE CASCADE,
  PRIMARY KEY (rollout_id, adapter_id)
);
CREATE INDEX late_adapters_adapter_id_idx ON late_adapters (adapter_id);

-- Adds an import to the rollouts to newer base model versions that it may join. Identifiers sort by creation, so a
-- greater one names a newer version.
CREATE FUNCTION readapt_note_late_adapter() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO late_adapters (rollout_id, adapter_id)
  SELECT r.id, NEW.adapter_id
  FROM rollouts r
  JOIN base_model_versions v ON v.id = r.base_model_version_id AND v.id > NEW.base_model_version_id
  JOIN adapters a ON a.id = NEW.adapter_id AND a.base_model_id = v.base_model_id
  WHERE r.state IN ('planning', 'analyzing', 'adapting', 'paused') AND r.options -> 'policy' ->> 'late' = 'join'
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;

CREATE TRIGGER adapter_versions_note_late_adapter AFTER INSERT ON adapter_versions
  FOR EACH ROW WHEN (NEW.origin = 'imported') EXECUTE FUNCTION readapt_note_late_adapter();

-- Attempts to have a wave approved over HTTP.
CREATE TABLE approval_requests (
  rollout_id TEXT NOT NULL REFERENCES rollouts ON DELETE CASCADE ON UPDATE CASCADE,
  wave INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_attempt_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  lease_owner TEXT,
  lease_expires_at TIMESTAMPTZ(6),
  PRIMARY KEY (rollout_id, wave)
);

-- ==== Jobs ===========================================================================================================

CREATE TYPE job_kind AS ENUM ('adaptation', 'control');
CREATE TYPE job_state AS ENUM (
  'queued', 'held', 'paused', 'preparing', 'initializing', 'fine_tuning', 'evaluating',
  'ready', 'not_ready', 'failed', 'cancelled');
CREATE TYPE job_phase AS ENUM (
  'queue_wait', 'held', 'prepare', 'evolution', 'initialize', 'fine_tune', 'evaluate', 'publish');

-- Adaptations of one adapter in one rollout. The partial indexes leave out jobs that wait or run where only ended ones
-- are sorted, so that planning and heartbeats do not write to them.
CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  rollout_id TEXT NOT NULL REFERENCES rollouts ON DELETE CASCADE ON UPDATE CASCADE,
  adapter_id TEXT NOT NULL REFERENCES adapters ON DELETE CASCADE ON UPDATE CASCADE,
  source_version_id TEXT REFERENCES adapter_versions ON DELETE SET NULL ON UPDATE CASCADE,
  kind job_kind NOT NULL DEFAULT 'adaptation',
  state job_state NOT NULL DEFAULT 'queued',
  strategy TEXT NOT NULL,
  won_strategy TEXT,
  own_options JSONB,
  fusion_alpha DOUBLE PRECISION,
  fusion_beta DOUBLE PRECISION,
  step INTEGER NOT NULL DEFAULT 0,
  total_steps INTEGER NOT NULL DEFAULT 0,
  metric_name TEXT NOT NULL,
  metric_target DOUBLE PRECISION,
  metric_old DOUBLE PRECISION,
  metric_anchor DOUBLE PRECISION,
  anchor_version_id TEXT,
  metric_none DOUBLE PRECISION,
  metric_copy DOUBLE PRECISION,
  metric_best DOUBLE PRECISION,
  certificate JSONB,
  negative_flips DOUBLE PRECISION,
  error JSONB,
  append_eos BOOLEAN,
  append_eos_reason TEXT,
  max_length INTEGER,
  precision TEXT,
  baselines_pending BOOLEAN NOT NULL DEFAULT false,
  warnings TEXT[],

  attempt INTEGER NOT NULL DEFAULT 0,
  excused_attempts INTEGER NOT NULL DEFAULT 0,
  retried_after INTEGER NOT NULL DEFAULT 0,
  lease_owner TEXT,
  lease_expires_at TIMESTAMPTZ(6),
  leased_at TIMESTAMPTZ(6),

  approval TEXT,
  wave INTEGER,
  paused_at TIMESTAMPTZ(6),
  paused_by TEXT,

  start_tag DOUBLE PRECISION,
  admission TEXT,

  phase job_phase NOT NULL DEFAULT 'queue_wait',
  phase_since TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  queue_wait_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
  prepare_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
  evolution_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
  initialize_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
  fine_tune_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
  evaluate_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
  publish_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
  held_ms DOUBLE PRECISION NOT NULL DEFAULT 0,
  ttr_ms DOUBLE PRECISION,

  created_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  started_at TIMESTAMPTZ(6),
  ready_at TIMESTAMPTZ(6),
  finished_at TIMESTAMPTZ(6),
  updated_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,

  change_transaction_id BIGINT NOT NULL DEFAULT 0,
  change_seq BIGINT NOT NULL DEFAULT 0,
  CONSTRAINT jobs_counters_check CHECK (step >= 0 AND total_steps >= 0 AND attempt >= 0)
);
CREATE UNIQUE INDEX jobs_rollout_id_adapter_id_kind_key ON jobs (rollout_id, adapter_id, kind);
CREATE INDEX jobs_tenant_id_updated_at_idx ON jobs (tenant_id, updated_at);
CREATE INDEX jobs_rollout_id_change_transaction_id_change_seq_idx
  ON jobs (rollout_id, change_transaction_id, change_seq);
CREATE INDEX jobs_rollout_id_id_idx ON jobs (rollout_id, id);
CREATE INDEX jobs_rollout_id_state_id_idx ON jobs (rollout_id, state, id);
CREATE INDEX jobs_rollout_id_finished_at_id_idx ON jobs (rollout_id, finished_at, id);
CREATE INDEX jobs_tenant_id_id_idx ON jobs (tenant_id, id);
CREATE INDEX jobs_tenant_id_change_transaction_id_change_seq_idx ON jobs (tenant_id, change_transaction_id, change_seq);
CREATE INDEX jobs_change_transaction_id_change_seq_idx ON jobs (change_transaction_id, change_seq);
CREATE INDEX jobs_adapter_id_id_idx ON jobs (adapter_id, id);
CREATE INDEX jobs_state_id_idx ON jobs (state, id);
CREATE INDEX jobs_updated_at_idx ON jobs (updated_at);
CREATE INDEX jobs_lease_expires_at_idx ON jobs (lease_expires_at);
CREATE INDEX jobs_source_version_id_idx ON jobs (source_version_id);
CREATE INDEX jobs_rollout_id_ttr_ms_id_idx ON jobs (rollout_id, ttr_ms, id);
CREATE INDEX jobs_start_tag_idx ON jobs (start_tag) WHERE state = 'queued' AND admission IS DISTINCT FROM 'waiting';
CREATE INDEX jobs_tenant_id_start_tag_idx
  ON jobs (tenant_id, start_tag) WHERE state = 'queued' AND admission IS DISTINCT FROM 'waiting';
CREATE INDEX jobs_rollout_id_admission_start_tag_idx
  ON jobs (rollout_id, admission, start_tag) WHERE admission IS NOT NULL;
CREATE INDEX jobs_finished_at_id_idx ON jobs (finished_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_tenant_id_finished_at_id_idx ON jobs (tenant_id, finished_at, id) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_ttr_ms_id_idx ON jobs (ttr_ms, id) WHERE ttr_ms IS NOT NULL;
CREATE INDEX jobs_tenant_id_ttr_ms_id_idx ON jobs (tenant_id, ttr_ms, id) WHERE ttr_ms IS NOT NULL;
ALTER TABLE adapter_versions ADD FOREIGN KEY (job_id) REFERENCES jobs ON DELETE SET NULL ON UPDATE CASCADE;

-- Jobs that are held until a job of the same adapter to an older version has ended. `waits_for_job_id` has no foreign
-- key because the sweeper has to find jobs that wait for one that is gone.
CREATE TABLE job_waits (
  job_id TEXT PRIMARY KEY REFERENCES jobs ON DELETE CASCADE ON UPDATE CASCADE,
  tenant_id TEXT NOT NULL,
  rollout_id TEXT NOT NULL,
  waits_for_job_id TEXT NOT NULL
);
CREATE INDEX job_waits_rollout_id_job_id_idx ON job_waits (rollout_id, job_id);
CREATE INDEX job_waits_waits_for_job_id_idx ON job_waits (waits_for_job_id);

-- Jobs whose adapters are to get a provisional version. A row is removed when the version exists or cannot be made.
CREATE TABLE provisional_requests (
  job_id TEXT PRIMARY KEY REFERENCES jobs ON DELETE CASCADE ON UPDATE CASCADE,
  rollout_id TEXT NOT NULL,
  attempt INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX provisional_requests_rollout_id_job_id_idx ON provisional_requests (rollout_id, job_id);

-- Values measured while a job runs.
CREATE TABLE metric_points (
  id BIGSERIAL PRIMARY KEY,
  tenant_id TEXT NOT NULL,
  job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE ON UPDATE CASCADE,
  name TEXT NOT NULL,
  step INTEGER NOT NULL,
  value DOUBLE PRECISION NOT NULL,
  recorded_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE UNIQUE INDEX metric_points_job_id_name_step_key ON metric_points (job_id, name, step);
CREATE INDEX metric_points_job_id_id_idx ON metric_points (job_id, id);

-- Evaluations of the search for fusion coefficients.
CREATE TABLE search_evaluations (
  job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE ON UPDATE CASCADE,
  index INTEGER NOT NULL,
  tenant_id TEXT NOT NULL,
  fusion_alpha DOUBLE PRECISION NOT NULL,
  fusion_beta DOUBLE PRECISION NOT NULL,
  rows INTEGER NOT NULL CHECK (rows >= 0),
  metric TEXT NOT NULL,
  loss DOUBLE PRECISION NOT NULL,
  duration_ms DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (job_id, index)
);

-- Results of the rungs of each run of a job.
CREATE TABLE job_ladders (
  job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE ON UPDATE CASCADE,
  retried_after INTEGER NOT NULL,
  tenant_id TEXT NOT NULL,
  strategy TEXT NOT NULL,
  ladder JSONB NOT NULL,
  updated_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  PRIMARY KEY (job_id, retried_after),
  CONSTRAINT job_ladders_bounded CHECK (jsonb_array_length(ladder -> 'candidates') <= 100)
);

-- Notes when a lease begins, and writes its end down as use of a device. An expired lease counts until its expiry.
CREATE FUNCTION readapt_note_lease() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  now_at TIMESTAMPTZ := clock_timestamp();
BEGIN
  IF OLD.lease_owner IS NOT NULL AND OLD.leased_at IS NOT NULL THEN
    INSERT INTO device_uses (tenant_id, job_id, started_at, ended_at)
    VALUES (OLD.tenant_id, OLD.id, OLD.leased_at, GREATEST(OLD.leased_at, LEAST(now_at, OLD.lease_expires_at)));
  END IF;
  NEW.leased_at := CASE WHEN NEW.lease_owner IS NULL THEN NULL ELSE now_at END;
  RETURN NEW;
END $$;

CREATE TRIGGER jobs_note_lease BEFORE UPDATE ON jobs
  FOR EACH ROW WHEN (OLD.lease_owner IS DISTINCT FROM NEW.lease_owner) EXECUTE FUNCTION readapt_note_lease();

-- Copies the share of negative flips from the published version when a job in a wave ends, so that the figures of the
-- wave follow from its jobs alone, even if versions are removed later.
CREATE FUNCTION readapt_note_negative_flips() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  NEW.negative_flips := NULL;
  IF NEW.finished_at IS NOT NULL AND NEW.state = 'ready' THEN
    SELECT (v.metrics ->> 'negative_flips')::float8 INTO NEW.negative_flips
    FROM adapter_versions v
    WHERE v.job_id = NEW.id AND NOT v.provisional
    ORDER BY v.number DESC
    LIMIT 1;
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER jobs_note_negative_flips BEFORE UPDATE ON jobs
  FOR EACH ROW
  WHEN (OLD.finished_at IS DISTINCT FROM NEW.finished_at AND NEW.wave IS NOT NULL AND NEW.kind = 'adaptation')
  EXECUTE FUNCTION readapt_note_negative_flips();

-- ==== Sums over the jobs of a rollout ================================================================================

-- Triggers keep these tables in the transaction that changes the jobs, once for each statement.

-- Number of jobs in each state, of all tenants and of each.
CREATE TABLE rollout_counts (
  rollout_id TEXT NOT NULL REFERENCES rollouts ON DELETE CASCADE ON UPDATE CASCADE,
  kind job_kind NOT NULL,
  state job_state NOT NULL,
  jobs INTEGER NOT NULL,
  unfinished INTEGER NOT NULL,
  baselines_pending INTEGER NOT NULL,
  changes BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (rollout_id, kind, state)
) WITH (fillfactor = 50);

CREATE TABLE rollout_tenant_counts (
  rollout_id TEXT NOT NULL REFERENCES rollouts ON DELETE CASCADE ON UPDATE CASCADE,
  tenant_id TEXT NOT NULL REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  kind job_kind NOT NULL,
  state job_state NOT NULL,
  jobs INTEGER NOT NULL,
  unfinished INTEGER NOT NULL,
  baselines_pending INTEGER NOT NULL,
  changes BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (rollout_id, tenant_id, kind, state)
);
CREATE INDEX rollout_tenant_counts_tenant_id_idx ON rollout_tenant_counts (tenant_id);

-- Adds the difference between the old and the new jobs to both counts. Only one transaction at a time changes the
-- counts of a rollout: it holds an advisory lock until it ends, and takes it after the locks of the jobs.
CREATE FUNCTION readapt_count_jobs() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  deltas jsonb;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT jsonb_agg(d) INTO deltas FROM (
      SELECT rollout_id, tenant_id, kind, state,
        count(*) AS jobs,
        count(*) FILTER (WHERE finished_at IS NULL) AS unfinished,
        count(*) FILTER (WHERE baselines_pending) AS baselines_pending
      FROM new_jobs
      GROUP BY 1, 2, 3, 4
    ) d;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT jsonb_agg(d) INTO deltas FROM (
      SELECT rollout_id, tenant_id, kind, state,
        -count(*) AS jobs,
        -count(*) FILTER (WHERE finished_at IS NULL) AS unfinished,
        -count(*) FILTER (WHERE baselines_pending) AS baselines_pending
      FROM old_jobs
      GROUP BY 1, 2, 3, 4
    ) d;
  ELSE
    SELECT jsonb_agg(d) INTO deltas FROM (
      SELECT change.rollout_id, change.tenant_id, change.kind, change.state,
        sum(change.jobs) AS jobs,
        sum(CASE WHEN change.finished_at IS NULL THEN change.jobs ELSE 0 END) AS unfinished,
        sum(CASE WHEN change.baselines_pending THEN change.jobs ELSE 0 END) AS baselines_pending
      FROM old_jobs o
      JOIN new_jobs n ON n.id = o.id
      CROSS JOIN LATERAL (VALUES
        (o.rollout_id, o.tenant_id, o.kind, o.state, o.finished_at, o.baselines_pending, -1),
        (n.rollout_id, n.tenant_id, n.kind, n.state, n.finished_at, n.baselines_pending, 1)
      ) AS change (rollout_id, tenant_id, kind, state, finished_at, baselines_pending, jobs)
      WHERE (o.state, o.finished_at, o.baselines_pending, o.ttr_ms)
        IS DISTINCT FROM (n.state, n.finished_at, n.baselines_pending, n.ttr_ms)
      GROUP BY 1, 2, 3, 4
    ) d;
  END IF;
  IF deltas IS NULL THEN RETURN NULL; END IF;

  PERFORM pg_advisory_xact_lock(hashtextextended('readapt.rollout_counts.' || d.rollout_id, 0))
  FROM (SELECT DISTINCT d ->> 'rollout_id' AS rollout_id FROM jsonb_array_elements(deltas) AS d ORDER BY 1) d;

  -- The counts of a rollout or tenant that is being deleted are gone before its jobs.
  INSERT INTO rollout_counts AS c (rollout_id, kind, state, jobs, unfinished, baselines_pending, changes)
  SELECT d.rollout_id, d.kind, d.state, sum(d.jobs), sum(d.unfinished), sum(d.baselines_pending), 1
  FROM jsonb_to_recordset(deltas) AS d (
    rollout_id text, kind job_kind, state job_state, jobs integer, unfinished integer, baselines_pending integer)
  WHERE EXISTS (SELECT 1 FROM rollouts r WHERE r.id = d.rollout_id)
  GROUP BY 1, 2, 3
  ON CONFLICT (rollout_id, kind, state) DO UPDATE SET
    jobs = c.jobs + EXCLUDED.jobs,
    unfinished = c.unfinished + EXCLUDED.unfinished,
    baselines_pending = c.baselines_pending + EXCLUDED.baselines_pending,
    changes = c.changes + 1;

  INSERT INTO rollout_tenant_counts AS c
    (rollout_id, tenant_id, kind, state, jobs, unfinished, baselines_pending, changes)
  SELECT d.rollout_id, d.tenant_id, d.kind, d.state, d.jobs, d.unfinished, d.baselines_pending, 1
  FROM jsonb_to_recordset(deltas) AS d (
    rollout_id text, tenant_id text, kind job_kind, state job_state, jobs integer, unfinished integer,
    baselines_pending integer)
  WHERE EXISTS (SELECT 1 FROM rollouts r WHERE r.id = d.rollout_id)
    AND EXISTS (SELECT 1 FROM tenants t WHERE t.id = d.tenant_id)
  ON CONFLICT (rollout_id, tenant_id, kind, state) DO UPDATE SET
    jobs = c.jobs + EXCLUDED.jobs,
    unfinished = c.unfinished + EXCLUDED.unfinished,
    baselines_pending = c.baselines_pending + EXCLUDED.baselines_pending,
    changes = c.changes + 1;
  RETURN NULL;
END $$;

CREATE TRIGGER jobs_count_inserted AFTER INSERT ON jobs
  REFERENCING NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_count_jobs();
CREATE TRIGGER jobs_count_updated AFTER UPDATE ON jobs
  REFERENCING OLD TABLE AS old_jobs NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_count_jobs();
CREATE TRIGGER jobs_count_deleted AFTER DELETE ON jobs
  REFERENCING OLD TABLE AS old_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_count_jobs();

-- Seconds for which the jobs of a rollout have held a device: the sum of their `device_uses`.
CREATE TABLE rollout_device_uses (
  rollout_id TEXT PRIMARY KEY REFERENCES rollouts ON DELETE CASCADE ON UPDATE CASCADE,
  seconds DOUBLE PRECISION NOT NULL
);

-- Runs after the statement, so that the row of a rollout is locked after those of its jobs.
CREATE FUNCTION readapt_sum_device_uses() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  now_at TIMESTAMPTZ := clock_timestamp();
BEGIN
  INSERT INTO rollout_device_uses AS u (rollout_id, seconds)
  SELECT o.rollout_id, sum(EXTRACT(EPOCH FROM GREATEST(o.leased_at, LEAST(now_at, o.lease_expires_at)) - o.leased_at))
  FROM old_jobs o
  JOIN new_jobs n ON n.id = o.id
  WHERE o.lease_owner IS NOT NULL AND o.leased_at IS NOT NULL AND o.lease_owner IS DISTINCT FROM n.lease_owner
    AND EXISTS (SELECT 1 FROM rollouts r WHERE r.id = o.rollout_id)
  GROUP BY o.rollout_id
  ORDER BY o.rollout_id
  ON CONFLICT (rollout_id) DO UPDATE SET seconds = u.seconds + EXCLUDED.seconds;
  RETURN NULL;
END $$;

CREATE TRIGGER jobs_sum_device_uses AFTER UPDATE ON jobs
  REFERENCING OLD TABLE AS old_jobs NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_sum_device_uses();

-- Figures of the adaptations of a wave that have ended and were not cancelled, which `pause_if` judges. The sums are
-- decimal, so that adding a value and taking it away again leaves nothing behind.
CREATE TABLE wave_figures (
  rollout_id TEXT NOT NULL REFERENCES rollouts ON DELETE CASCADE ON UPDATE CASCADE,
  wave INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  unready INTEGER NOT NULL,
  metric_drops INTEGER NOT NULL,
  metric_drop_sum NUMERIC(65,30) NOT NULL,
  negative_flips INTEGER NOT NULL,
  negative_flips_sum NUMERIC(65,30) NOT NULL,
  PRIMARY KEY (rollout_id, wave)
) WITH (fillfactor = 50);

-- Runs after `jobs_count_*`, whose lock lets one transaction at a time change the figures of a rollout.
CREATE FUNCTION readapt_sum_waves() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  changes jsonb;
BEGIN
  IF TG_OP = 'INSERT' THEN
    SELECT jsonb_agg(c) INTO changes FROM (
      SELECT rollout_id, wave, state, metric_name, metric_old, metric_best, negative_flips, 1 AS sign
      FROM new_jobs
      WHERE finished_at IS NOT NULL AND wave IS NOT NULL AND kind = 'adaptation' AND state <> 'cancelled'
    ) c;
  ELSIF TG_OP = 'DELETE' THEN
    SELECT jsonb_agg(c) INTO changes FROM (
      SELECT rollout_id, wave, state, metric_name, metric_old, metric_best, negative_flips, -1 AS sign
      FROM old_jobs
      WHERE finished_at IS NOT NULL AND wave IS NOT NULL AND kind = 'adaptation' AND state <> 'cancelled'
    ) c;
  ELSE
    SELECT jsonb_agg(c) INTO changes FROM (
      SELECT c.rollout_id, c.wave, c.state, c.metric_name, c.metric_old, c.metric_best, c.negative_flips, c.sign
      FROM old_jobs o
      JOIN new_jobs n ON n.id = o.id
      CROSS JOIN LATERAL (VALUES
        (o.rollout_id, o.wave, o.state, o.finished_at,
          o.metric_name, o.metric_old, o.metric_best, o.negative_flips, -1),
        (n.rollout_id, n.wave, n.state, n.finished_at,
          n.metric_name, n.metric_old, n.metric_best, n.negative_flips, 1)
      ) AS c (rollout_id, wave, state, finished_at, metric_name, metric_old, metric_best, negative_flips, sign)
      WHERE n.kind = 'adaptation'
        AND (o.wave, o.state, o.finished_at IS NULL, o.metric_name, o.metric_old, o.metric_best, o.negative_flips)
          IS DISTINCT FROM
          (n.wave, n.state, n.finished_at IS NULL, n.metric_name, n.metric_old, n.metric_best, n.negative_flips)
        AND c.finished_at IS NOT NULL AND c.wave IS NOT NULL AND c.state <> 'cancelled'
    ) c;
  END IF;
  IF changes IS NULL THEN RETURN NULL; END IF;

  -- The figures of a rollout that is being deleted are gone before its jobs.
  INSERT INTO wave_figures AS f
    (rollout_id, wave, ended, unready, metric_drops, metric_drop_sum, negative_flips, negative_flips_sum)
  SELECT c.rollout_id, c.wave,
    sum(c.sign),
    COALESCE(sum(c.sign) FILTER (WHERE c.state IN ('not_ready', 'failed')), 0),
    COALESCE(sum(c.sign) FILTER (WHERE c.is_ready AND c.metric_drop IS NOT NULL), 0),
    COALESCE(sum(c.sign * c.metric_drop) FILTER (WHERE c.is_ready), 0),
    COALESCE(sum(c.sign) FILTER (WHERE c.is_ready AND c.negative_flips IS NOT NULL), 0),
    COALESCE(sum(c.sign * c.negative_flips) FILTER (WHERE c.is_ready), 0)
  FROM (
    SELECT j.rollout_id, j.wave, j.sign, j.state, j.state = 'ready' AS is_ready, j.negative_flips,
      CASE WHEN j.metric_name <> 'loss' THEN j.metric_old - j.metric_best END AS metric_drop
    FROM jsonb_to_recordset(changes) AS j (
      rollout_id text, wave integer, state job_state, metric_name text, metric_old decimal, metric_best decimal,
      negative_flips decimal, sign integer)
  ) AS c
  WHERE EXISTS (SELECT 1 FROM rollouts r WHERE r.id = c.rollout_id)
  GROUP BY c.rollout_id, c.wave
  ORDER BY c.rollout_id, c.wave
  ON CONFLICT (rollout_id, wave) DO UPDATE SET
    ended = f.ended + EXCLUDED.ended,
    unready = f.unready + EXCLUDED.unready,
    metric_drops = f.metric_drops + EXCLUDED.metric_drops,
    metric_drop_sum = f.metric_drop_sum + EXCLUDED.metric_drop_sum,
    negative_flips = f.negative_flips + EXCLUDED.negative_flips,
    negative_flips_sum = f.negative_flips_sum + EXCLUDED.negative_flips_sum;
  RETURN NULL;
END $$;

CREATE TRIGGER jobs_sum_waves_inserted AFTER INSERT ON jobs
  REFERENCING NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_sum_waves();
CREATE TRIGGER jobs_sum_waves_updated AFTER UPDATE ON jobs
  REFERENCING OLD TABLE AS old_jobs NEW TABLE AS new_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_sum_waves();
CREATE TRIGGER jobs_sum_waves_deleted AFTER DELETE ON jobs
  REFERENCING OLD TABLE AS old_jobs FOR EACH STATEMENT EXECUTE FUNCTION readapt_sum_waves();

-- Product of numbers in their order: the survival function of a report is one of up to 100,000 fractions.
CREATE AGGREGATE readapt_product(float8) (SFUNC = float8mul, STYPE = float8, INITCOND = '1');

-- ==== Events and the audit log =======================================================================================

-- Readers go through events, audit entries, jobs and current versions in the order of transactions, up to the first
-- one that is still running. Sequence numbers and times alone are given before the commit, so that a reader who went
-- by them would miss rows that are committed late.

CREATE TABLE events (
  seq BIGSERIAL PRIMARY KEY,
  transaction_id BIGINT NOT NULL DEFAULT 0,
  id TEXT NOT NULL,
  tenant_id TEXT,
  type TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  rollout_id TEXT,
  data JSONB NOT NULL,
  occurred_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  is_copy BOOLEAN NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX events_id_key ON events (id);
CREATE INDEX events_transaction_id_seq_idx ON events (transaction_id, seq);
CREATE INDEX events_tenant_id_transaction_id_seq_idx ON events (tenant_id, transaction_id, seq);
CREATE INDEX events_subject_id_transaction_id_seq_idx ON events (subject_id, transaction_id, seq);
CREATE INDEX events_rollout_id_transaction_id_seq_idx ON events (rollout_id, transaction_id, seq);
CREATE INDEX events_rollout_id_tenant_id_transaction_id_seq_idx ON events (rollout_id, tenant_id, transaction_id, seq);

-- One entry for each write of a caller, made in the transaction of the write.
CREATE TABLE audit_entries (
  seq BIGSERIAL PRIMARY KEY,
  transaction_id BIGINT NOT NULL DEFAULT 0,
  id TEXT NOT NULL,
  tenant_id TEXT,
  actor TEXT NOT NULL,
  key_id TEXT,
  operation TEXT NOT NULL,
  subject_id TEXT NOT NULL,
  before JSONB,
  after JSONB,
  request_id TEXT,
  occurred_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE UNIQUE INDEX audit_entries_id_key ON audit_entries (id);
CREATE INDEX audit_entries_transaction_id_seq_idx ON audit_entries (transaction_id, seq);
CREATE INDEX audit_entries_tenant_id_transaction_id_seq_idx ON audit_entries (tenant_id, transaction_id, seq);
CREATE INDEX audit_entries_subject_id_transaction_id_seq_idx ON audit_entries (subject_id, transaction_id, seq);

-- Positions up to which events and audit entries were pruned.
CREATE TABLE event_retention (
  id TEXT PRIMARY KEY,
  transaction_id BIGINT NOT NULL,
  seq BIGINT NOT NULL
);

CREATE FUNCTION readapt_note_event_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.transaction_id := pg_current_xact_id()::text::bigint;
  RETURN NEW;
END $$;

CREATE TRIGGER events_note_transaction BEFORE INSERT ON events
  FOR EACH ROW EXECUTE FUNCTION readapt_note_event_transaction();
CREATE TRIGGER audit_entries_note_transaction BEFORE INSERT ON audit_entries
  FOR EACH ROW EXECUTE FUNCTION readapt_note_event_transaction();

-- Finds the rollout of an event: its subject, or the one that its data name.
CREATE FUNCTION readapt_note_event_rollout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.rollout_id := COALESCE(NEW.data ->> 'rollout_id', CASE WHEN NEW.type LIKE 'rollout.%' THEN NEW.subject_id END);
  RETURN NEW;
END $$;

CREATE TRIGGER events_note_rollout BEFORE INSERT ON events
  FOR EACH ROW EXECUTE FUNCTION readapt_note_event_rollout();

-- Takes positions from the sequence of the events, so that one cursor serves events and changed rows.
CREATE FUNCTION readapt_note_job_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.change_transaction_id := pg_current_xact_id()::text::bigint;
  NEW.change_seq := nextval('events_seq_seq');
  RETURN NEW;
END $$;

CREATE TRIGGER jobs_note_change BEFORE INSERT OR UPDATE ON jobs
  FOR EACH ROW EXECUTE FUNCTION readapt_note_job_change();
CREATE TRIGGER current_versions_note_change BEFORE INSERT OR UPDATE ON current_versions
  FOR EACH ROW EXECUTE FUNCTION readapt_note_job_change();

-- Returns the first transaction that was still running when the statement took its snapshot. It runs as the owner,
-- because PostgreSQL hides from other roles which database a session belongs to, and tenants would otherwise wait for
-- transactions of other databases.
CREATE FUNCTION readapt_first_running() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT COALESCE(min(running::text::bigint), pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
  FROM pg_snapshot_xip(pg_current_snapshot()) AS running
  WHERE NOT EXISTS (
    SELECT 1 FROM pg_stat_activity WHERE datname <> current_database() AND backend_xid = running::xid
  )
$$;

-- ==== Webhooks =======================================================================================================

CREATE TABLE webhook_endpoints (
  id TEXT PRIMARY KEY,
  tenant_id TEXT REFERENCES tenants ON DELETE CASCADE ON UPDATE CASCADE,
  url TEXT NOT NULL,
  description TEXT,
  event_types TEXT[],
  enabled BOOLEAN NOT NULL DEFAULT true,
  disabled_reason TEXT,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

  position_transaction_id BIGINT NOT NULL,
  position_seq BIGINT NOT NULL,
  failures INTEGER NOT NULL DEFAULT 0,
  last_success_at TIMESTAMPTZ(3),
  next_turn_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  lease_owner TEXT,
  lease_expires_at TIMESTAMPTZ(6)
);
CREATE INDEX webhook_endpoints_tenant_id_id_idx ON webhook_endpoints (tenant_id, id);
CREATE INDEX webhook_endpoints_next_turn_at_idx ON webhook_endpoints (next_turn_at);

-- Sealed secrets that sign deliveries.
CREATE TABLE webhook_secrets (
  id TEXT PRIMARY KEY,
  endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE ON UPDATE CASCADE,
  tenant_id TEXT,
  sealed TEXT NOT NULL,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  expires_at TIMESTAMPTZ(3)
);
CREATE INDEX webhook_secrets_endpoint_id_idx ON webhook_secrets (endpoint_id);
CREATE INDEX webhook_secrets_tenant_id_idx ON webhook_secrets (tenant_id);

CREATE TABLE webhook_deliveries (
  id TEXT PRIMARY KEY,
  endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE ON UPDATE CASCADE,
  tenant_id TEXT,
  event_id TEXT NOT NULL,
  event_type TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_attempt_at TIMESTAMPTZ(6),
  first_attempt_at TIMESTAMPTZ(3),
  last_attempt_at TIMESTAMPTZ(3),
  outcome TEXT,
  status_code INTEGER,
  latency_ms DOUBLE PRECISION,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE UNIQUE INDEX webhook_deliveries_endpoint_id_event_id_key ON webhook_deliveries (endpoint_id, event_id);
CREATE INDEX webhook_deliveries_endpoint_id_id_idx ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_endpoint_id_state_id_idx ON webhook_deliveries (endpoint_id, state, id);
CREATE INDEX webhook_deliveries_endpoint_id_next_attempt_at_idx ON webhook_deliveries (endpoint_id, next_attempt_at);
CREATE INDEX webhook_deliveries_last_attempt_at_idx ON webhook_deliveries (last_attempt_at);
CREATE INDEX webhook_deliveries_tenant_id_idx ON webhook_deliveries (tenant_id);

-- ==== Replicas of serving engines ====================================================================================

CREATE TABLE replicas (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  engine TEXT NOT NULL,
  url TEXT NOT NULL,
  base_model_version_id TEXT NOT NULL REFERENCES base_model_versions ON DELETE RESTRICT ON UPDATE CASCADE,
  path_prefix TEXT NOT NULL,
  sealed_api_key TEXT,
  max_adapters INTEGER NOT NULL,
  aliases BOOLEAN NOT NULL,
  "check" TEXT NOT NULL,
  tenant_ids TEXT[],
  labels JSONB NOT NULL,
  unload_after_ms INTEGER NOT NULL,

  state TEXT NOT NULL DEFAULT 'syncing',
  error JSONB,
  desired INTEGER NOT NULL DEFAULT 0,
  loaded INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  last_seen_at TIMESTAMPTZ(3),
  in_sync_at TIMESTAMPTZ(3),
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

  seen_horizon BIGINT NOT NULL DEFAULT 0,
  seen_changes BIGINT NOT NULL DEFAULT 0,
  listing_digest TEXT,
  failures INTEGER NOT NULL DEFAULT 0,
  next_turn_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  resync_at TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  lease_owner TEXT,
  lease_expires_at TIMESTAMPTZ(6)
);
CREATE UNIQUE INDEX replicas_name_key ON replicas (name);
CREATE UNIQUE INDEX replicas_url_key ON replicas (url);
CREATE INDEX replicas_next_turn_at_idx ON replicas (next_turn_at);
CREATE INDEX replicas_base_model_version_id_idx ON replicas (base_model_version_id);

-- Names that a replica has loaded or should load. Adapters are not referenced, because a row outlives its adapter until
-- the engine has unloaded it.
CREATE TABLE replica_adapters (
  id TEXT PRIMARY KEY,
  replica_id TEXT NOT NULL REFERENCES replicas ON DELETE CASCADE ON UPDATE CASCADE,
  tenant_id TEXT,
  adapter_id TEXT,
  adapter_version_id TEXT,
  loaded_version_id TEXT,
  engine_name TEXT NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  error JSONB,
  next_attempt_at TIMESTAMPTZ(6),
  checked_at TIMESTAMPTZ(3),
  unload_at TIMESTAMPTZ(6)
);
CREATE UNIQUE INDEX replica_adapters_replica_id_engine_name_key ON replica_adapters (replica_id, engine_name);
CREATE INDEX replica_adapters_replica_id_id_idx ON replica_adapters (replica_id, id);
CREATE INDEX replica_adapters_replica_id_state_id_idx ON replica_adapters (replica_id, state, id);

-- ==== Row-level security =============================================================================================

-- The policies confine the role `readapt_tenant`, as which requests of tenants run. The role is created and granted its
-- privileges at each start, because the user that migrates may not be allowed to create roles. The owner of the tables
-- is not confined: requests of operators, workers and migrations run as the owner.

-- Confines tenants to their own rows of a table. Each table with rows of tenants needs it; a test looks for a column
-- `tenant_id` without a policy.
CREATE FUNCTION readapt_isolate(isolated regclass, owner_column name DEFAULT 'tenant_id') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', isolated);
  -- Without a tenant the setting is null or empty, and no row is visible. The subquery is evaluated once for each
  -- statement. The CASE keeps the planner from using the policy to find rows: it takes all tenants for equally large,
  -- and would read all rows of a large tenant to find a few by their identifiers.
  EXECUTE format(
    'CREATE POLICY readapt_own_rows ON %s USING (
       CASE WHEN %I = (SELECT current_setting(''readapt.tenant_id'', true)) THEN true ELSE false END)',
    isolated, owner_column);
END $$;

SELECT readapt_isolate('tenants', 'id');
SELECT readapt_isolate('idempotency_records', 'principal');
SELECT readapt_isolate(confined) FROM unnest(ARRAY[
  'api_keys', 'rate_buckets', 'tenant_usage', 'upload_reservations', 'device_uses',
  'datasets', 'adapters', 'adapter_labels', 'adapter_versions', 'current_versions',
  'gate_outcomes', 'anchor_outcomes', 'outcome_requests', 'negative_flips', 'rollback_counts',
  'jobs', 'job_waits', 'metric_points', 'search_evaluations', 'job_ladders', 'rollout_tenant_counts',
  'events', 'audit_entries', 'webhook_endpoints', 'webhook_secrets', 'webhook_deliveries', 'replica_adapters'
]::regclass[]) AS confined;

-- An entry that is written for a tenant has to name one of the tenant's own keys.
CREATE POLICY readapt_own_entries ON audit_entries AS RESTRICTIVE FOR INSERT
  WITH CHECK (actor = 'tenant' AND EXISTS (SELECT FROM api_keys k WHERE k.id = audit_entries.key_id));

-- Functions that run as the owner find tables in this schema alone, whatever the search path of the session is.
DO $$
DECLARE
  unbound regprocedure;
BEGIN
  FOR unbound IN
    SELECT oid FROM pg_proc
    WHERE pronamespace = current_schema()::regnamespace AND prosecdef AND proconfig IS NULL
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', unbound, current_schema());
  END LOOP;
END $$;
