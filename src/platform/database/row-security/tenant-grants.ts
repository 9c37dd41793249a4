type Privilege = 'SELECT' | 'INSERT' | 'UPDATE' | 'DELETE';
/**
 * Privileges on a table, such as SELECT, each with the columns for which it is granted. Null stands for all columns.
 */
type Grants = Readonly<Partial<Record<Privilege, readonly string[] | null>>>;

/** Right to read all columns of a table, for tables that only workers, the operator or triggers write. */
const READ: Grants = { SELECT: null };
const NOTHING: Grants = {};

const EVENT = ['id', 'transaction_id', 'tenant_id', 'type', 'subject_id', 'data', 'occurred_at'];
const AUDIT_ENTRY = [
  ...['id', 'tenant_id', 'actor', 'key_id', 'operation', 'subject_id', 'before', 'after', 'request_id'],
];
const ADAPTER_SETTINGS = ['dataset_id', 'gate', 'labels', 'pinned_base_model_version_id', 'approval'];
/** Columns of a job that change when it is cancelled. */
const CANCELLED_JOB = [
  ...[
    'state',
    'finished_at',
    'lease_owner',
    'lease_expires_at',
    'updated_at',
    'phase_since',
    'paused_at',
    'paused_by',
    'admission',
  ],
  ...[
    'held_ms',
    'queue_wait_ms',
    'prepare_ms',
    'evolution_ms',
    'initialize_ms',
    'fine_tune_ms',
    'evaluate_ms',
    'publish_ms',
  ],
];
/** Columns that change when another adapter version is made current, and the columns of the row's key. */
const CURRENT_VERSION = [
  ...['adapter_id', 'base_model_version_id', 'tenant_id'],
  ...['adapter_version_id', 'previous_version_id', 'held_job_id', 'changed_at'],
];
/** Columns of a webhook endpoint that requests update: settings, the position in the events, and the next turn. */
const ENDPOINT = [
  ...['url', 'description', 'event_types', 'enabled', 'disabled_reason', 'position_transaction_id', 'position_seq'],
  ...['failures', 'next_turn_at', 'lease_owner', 'lease_expires_at'],
];
const ANSWER = ['request_hash', 'body_bytes', 'status_code', 'response', 'created_at'];

/**
 * Rights that requests of tenants need on each table. They get no other rights, so that any other statement fails.
 * Row-level security also hides the rows of other tenants. Even to lock rows without changing them, PostgreSQL requires
 * the right to update some column of the table. In such a table the column is a key, which the table's policy binds to
 * the tenant, so that it cannot change. Requests never set positions in the order of commits (`seq`), because a
 * position too far ahead would block others.
 */
export const TENANT_GRANTS: Readonly<Record<string, Grants>> = {
  _prisma_migrations: NOTHING,
  // A trigger maintains this table.
  adapter_labels: READ,
  adapter_versions: { SELECT: null, INSERT: null, UPDATE: ['deleted_at'] },
  adapters: { SELECT: null, INSERT: null, UPDATE: [...ADAPTER_SETTINGS, 'name', 'deleted_at'] },
  anchor_outcomes: NOTHING,
  api_keys: { SELECT: null, INSERT: null, UPDATE: ['expires_at', 'revoked_at'] },
  approval_requests: NOTHING,
  artifacts: NOTHING,
  audit_entries: { SELECT: null, INSERT: AUDIT_ENTRY },
  base_model_upload_files: NOTHING,
  base_model_upload_parts: NOTHING,
  base_model_uploads: NOTHING,
  base_model_versions: READ,
  base_models: READ,
  base_source_tokens: NOTHING,
  // Only the trigger knows which version was published last.
  current_versions: { SELECT: null, INSERT: CURRENT_VERSION, UPDATE: CURRENT_VERSION.slice(3) },
  datasets: { SELECT: null, INSERT: null, UPDATE: ['name', 'deleted_at'] },
  device_uses: READ,
  event_retention: NOTHING,
  events: { SELECT: null, INSERT: EVENT },
  evolutions: READ,
  // Tenants only see the value.
  gate_outcomes: { SELECT: ['adapter_version_id', 'tenant_id', 'value'] },
  idempotency_records: { SELECT: null, UPDATE: ANSWER },
  job_ladders: READ,
  job_waits: READ,
  jobs: { SELECT: null, UPDATE: CANCELLED_JOB },
  installation: NOTHING,
  late_adapters: NOTHING,
  metric_points: READ,
  negative_flips: READ,
  outbox: NOTHING,
  outcome_requests: { SELECT: null, INSERT: ['adapter_version_id', 'tenant_id'], UPDATE: ['requested_at'] },
  process_leases: NOTHING,
  provisional_requests: NOTHING,
  rate_buckets: NOTHING,
  rollback_counts: READ,
  replica_adapters: NOTHING,
  replicas: NOTHING,
  rollout_counts: NOTHING,
  rollout_device_uses: NOTHING,
  rollout_forecasts: NOTHING,
  // Only the operator sees the progress and the totals over all tenants.
  rollout_rollbacks: { SELECT: ['rollout_id', 'requested_at', 'finished_at'] },
  rollout_tenant_counts: READ,
  rollouts: READ,
  schema_window: NOTHING,
  // A trigger counts the evaluations when a job ends, also by cancellation.
  search_evaluations: READ,
  tenant_usage: { SELECT: null, INSERT: ['tenant_id'], UPDATE: ['tenant_id'] },
  tenants: { SELECT: null, UPDATE: ['id'] },
  upload_reservations: { SELECT: null, INSERT: null, UPDATE: ['bytes', 'expires_at'], DELETE: null },
  wave_figures: NOTHING,
  wave_members: NOTHING,
  webhook_deliveries: {
    SELECT: null,
    INSERT: ['id', 'endpoint_id', 'tenant_id', 'event_id', 'event_type', 'state', 'next_attempt_at'],
    UPDATE: ['state', 'attempts', 'first_attempt_at', 'next_attempt_at'],
  },
  webhook_endpoints: {
    SELECT: null,
    INSERT: ['id', 'tenant_id', 'url', 'description', 'event_types', 'position_transaction_id', 'position_seq'],
    UPDATE: ENDPOINT,
    DELETE: null,
  },
  // Only the process that signs reads the secrets.
  webhook_secrets: {
    SELECT: ['id', 'endpoint_id', 'tenant_id', 'expires_at'],
    INSERT: ['id', 'endpoint_id', 'tenant_id', 'sealed'],
    UPDATE: ['expires_at'],
  },
  workers: NOTHING,
};

const OBJECTS = `c.relnamespace = current_schema()::regnamespace`;

/**
 * Makes the SQL query for the rights that the tenants' role needs, with the columns oid, privilege and column. The
 * column is empty for a whole table or sequence. Columns that a database does not have yet are left out.
 */
function needed(): string {
  const rows = Object.entries(TENANT_GRANTS).flatMap(([table, grants]) =>
    Object.entries(grants).flatMap(([privilege, columns]) =>
      (columns ?? ['']).map((column) => `('${table}', '${privilege}', '${column}')`),
    ),
  );
  const filled = Object.keys(TENANT_GRANTS).filter((table) => TENANT_GRANTS[table]!.INSERT !== undefined);
  return `
    SELECT c.oid, g.privilege, g.attname FROM (VALUES ${rows.join(', ')}) AS g (relname, privilege, attname)
    JOIN pg_class c ON c.relname = g.relname AND ${OBJECTS}
    WHERE g.attname = '' OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = g.attname)
    UNION ALL
    SELECT c.oid, 'USAGE', '' FROM pg_class c
    JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'a'
    JOIN pg_class owner ON owner.oid = d.refobjid
    WHERE c.relkind = 'S' AND ${OBJECTS} AND owner.relname IN (${filled.map((table) => `'${table}'`).join(', ')})`;
}

/** Makes the SQL query for the rights that the tenants' role has, with the columns oid, privilege and column. */
function held(role: string): string {
  return `
    SELECT c.oid, acl.privilege_type, '' FROM pg_class c, aclexplode(c.relacl) AS acl
    WHERE ${OBJECTS} AND c.relkind IN ('r', 'p', 'S') AND acl.grantee = to_regrole('${role}')
    UNION ALL
    SELECT c.oid, acl.privilege_type, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid,
      aclexplode(a.attacl) AS acl
    WHERE ${OBJECTS} AND acl.grantee = to_regrole('${role}')`;
}

/**
 * Makes the SQL query that turns rows (oid, privilege, attname) into (privilege, object), in the syntax of GRANT and
 * REVOKE.
 */
function named(rows: string): string {
  return `
    SELECT privilege || CASE attname WHEN '' THEN '' ELSE format(' (%I)', attname) END AS privilege,
      CASE c.relkind WHEN 'S' THEN 'SEQUENCE ' ELSE '' END || format('%I.%I', n.nspname, c.relname) AS object
    FROM (${rows}) AS listed (oid, privilege, attname)
      JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
    ORDER BY 2, 1`;
}

/** Makes the SQL query for the rights that the tenants' role needs and lacks. */
export const lackingGrants = (role: string): string => named(`(${needed()}) EXCEPT (${held(role)})`);

/** Makes the SQL query for the rights that the tenants' role has and does not need. */
export const excessGrants = (role: string): string => named(`(${held(role)}) EXCEPT (${needed()})`);
