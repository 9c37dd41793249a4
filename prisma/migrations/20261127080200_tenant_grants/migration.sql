-- What the tenants' role may do is narrowed to what requests of tenants need (docs/adr/0015-row-level-security.md). The privileges
-- themselves are granted and revoked at each start.

-- An entry that is written for a tenant names a key of its own as the one that was used.
CREATE POLICY readapt_own_entries ON "audit_entries" AS RESTRICTIVE FOR INSERT WITH CHECK (
  "actor" = 'tenant' AND EXISTS (SELECT FROM "api_keys" k WHERE k."id" = "audit_entries"."key_id"));

-- A negative reservation would give a tenant room that it does not have.
ALTER TABLE "upload_reservations" ADD CONSTRAINT "upload_reservations_not_negative" CHECK ("bytes" >= 0);

-- The table of artifacts has the digests of all tenants, and whoever names a digest in a row of his own can download it. So tenants'
-- requests cannot read it: they register content that they have, and ask for the size of one that they name.
CREATE FUNCTION readapt_register_artifact("digest" text, "kind" text, "bytes" bigint) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
  INSERT INTO artifacts (digest, kind, bytes) VALUES ($1, $2, $3)
  ON CONFLICT (digest) DO UPDATE SET created_at = clock_timestamp()
$$;
CREATE FUNCTION readapt_artifact_bytes("digest" text) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT a.bytes FROM artifacts a WHERE a.digest = $1
$$;
DO $$
BEGIN
  EXECUTE format('ALTER FUNCTION readapt_register_artifact(text, text, bigint) SET search_path = %I, pg_temp', current_schema());
  EXECUTE format('ALTER FUNCTION readapt_artifact_bytes(text) SET search_path = %I, pg_temp', current_schema());
END $$;
