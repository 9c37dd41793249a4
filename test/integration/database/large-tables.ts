import pg from 'pg';

/** Identifiers of the rows that tests query. All other rows are like them. */
export interface LargeTables {
  tenant: string;
  baseModel: string;
  /** Base model with one version and one old rollout. */
  oldBaseModel: string;
  /** Base model version on which every adapter has a current version. */
  baseModelVersion: string;
  /** Base model version on which only a hundred of the oldest adapters have a current version. */
  nextBaseModelVersion: string;
  adapter: string;
  /** Newest version of the adapter. */
  version: string;
  rollout: string;
  job: string;
  /** Replica with many adapters. */
  replica: string;
  /** Webhook endpoint of the tenant with many deliveries. */
  endpoint: string;
  /** Time after nearly all changes of jobs. */
  recently: string;
}

/** SQL expression of a UUIDv7 that sorts by the number `n`. */
const id = (prefix: string, n: string): string =>
  `'${prefix}_018f0000-0000-7000-8000-' || lpad(to_hex((${n})::bigint), 12, '0')`;

/** Minimum number of rows of each large table. */
export const LARGE = 6000;

/**
 * Fills every table that a list reads with thousands of rows: one tenant with half of everything beside thousands of
 * small ones, one large rollout beside thousands of small ones, and a few rows in each state.
 */
export async function fillTables(databaseUrl: string): Promise<LargeTables> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    for (const statement of STATEMENTS) await client.query(statement);
    // Autovacuum would run at some time and make index scans cheaper.
    await client.query('VACUUM ANALYZE');
    const one = async (sql: string): Promise<string> =>
      ((await client.query(`SELECT ${sql} AS found`)).rows[0] as { found: string }).found;
    return {
      tenant: await one(id('ten', '1')),
      baseModel: await one(id('bm', '1')),
      oldBaseModel: await one(id('bm', '50')),
      baseModelVersion: await one(id('bmv', '1')),
      nextBaseModelVersion: await one(id('bmv', '3')),
      adapter: await one(id('adp', '1')),
      version: await one(id('adv', String(200 + 2 * LARGE))),
      rollout: await one(id('rol', '1')),
      job: await one(id('job', '1')),
      replica: await one(id('rep', '1')),
      endpoint: await one(id('whe', '1')),
      recently: await one(`to_char(now() AT TIME ZONE 'UTC' - interval '1 minute', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`),
    };
  } finally {
    await client.end();
  }
}

/** Every second row belongs to tenant 1. */
const tenantOf = (n: string): string => id('ten', `CASE WHEN ${n} % 2 = 1 THEN 1 ELSE ${n} / 2 END`);

const STATEMENTS = [
  `INSERT INTO tenants (id, name) SELECT ${id('ten', 'n')}, 'tenant-' || n FROM generate_series(1, ${LARGE}) n`,
  `INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hash, scopes)
   SELECT ${id('key', 'n')}, ${tenantOf('n')}, 'key', 'large' || n, '', '{}' FROM generate_series(1, ${2 * LARGE}) n`,
  `INSERT INTO base_models (id, name) SELECT ${id('bm', 'n')}, 'model-' || n FROM generate_series(1, ${LARGE}) n`,
  `INSERT INTO base_model_versions (id, base_model_id, version, path, serving_name)
   SELECT ${id('bmv', 'n')}, ${id('bm', `CASE WHEN n % 2 = 1 THEN 1 ELSE n / 2 END`)}, 'v' || n, '/models', 'served'
   FROM generate_series(1, ${2 * LARGE}) n`,
  `INSERT INTO evolutions (id, old_base_model_version_id, new_base_model_version_id)
   SELECT ${id('evo', 'n')}, ${id('bmv', 'n')}, ${id('bmv', 'n + 1')} FROM generate_series(1, ${LARGE}) n`,
  // One version has evolutions from many others.
  `INSERT INTO evolutions (id, old_base_model_version_id, new_base_model_version_id)
   SELECT ${id('evo', `n + ${LARGE}`)}, ${id('bmv', 'n + 10')}, ${id('bmv', '3')} FROM generate_series(1, 100) n`,
  `INSERT INTO datasets (id, tenant_id, name, artifact_digest, rows, bytes, splits)
   SELECT ${id('dst', 'n')}, ${tenantOf('n')}, 'data-' || n, 'none', 1, 1,
     '{"training": 1, "search": 0, "gate": 0}' FROM generate_series(1, ${2 * LARGE}) n`,
  // All adapters share one label, each has one of its own, and a few old ones have another.
  `INSERT INTO adapters (id, tenant_id, base_model_id, dataset_id, name, metric, gate, labels)
   SELECT ${id('adp', 'n')}, ${tenantOf('n')}, ${id('bm', '1')}, ${id('dst', 'n')}, 'adapter-' || n, 'accuracy',
     '{"kind": "absolute", "target": 0.5}',
     jsonb_build_object('tier', 'gold', 'customer', 'c' || n) || CASE WHEN n <= 200 THEN '{"region": "eu"}'
       ELSE '{}' END::jsonb
   FROM generate_series(1, ${2 * LARGE}) n`,
  // For each version, a trigger looks for rollouts that it may join. Without statistics, that reads whole tables.
  'ANALYZE base_model_versions, adapters',
  `INSERT INTO adapter_versions (id, tenant_id, adapter_id, base_model_version_id, number, origin, artifact_digest,
   rank, lora_alpha)
   SELECT ${id('adv', 'n')}, ${tenantOf('n')}, ${id('adp', 'n')}, ${id('bmv', '1')}, 1, 'imported', 'none', 4, 8
   FROM generate_series(1, ${2 * LARGE}) n`,
  `INSERT INTO outcome_requests (adapter_version_id, tenant_id)
   SELECT ${id('adv', 'n')}, ${tenantOf('n')} FROM generate_series(1, ${LARGE}) n`,
  `INSERT INTO rollouts (id, base_model_version_id, state, options, finished_at)
   SELECT ${id('rol', 'n')}, ${id('bmv', 'n')},
     (CASE WHEN n = 1 THEN 'adapting' WHEN n < 5 THEN 'analyzing' WHEN n < 9 THEN 'cancelled'
       ELSE 'completed' END)::rollout_state,
     '{}', CASE WHEN n < 8 THEN NULL ELSE now() END
   FROM generate_series(1, ${LARGE}) n`,
  // Rollout 1 has half of the jobs. The first hundred of them are not finished, and the first ten have a lease that has
  // run out.
  `INSERT INTO jobs (id, tenant_id, rollout_id, adapter_id, source_version_id, kind, state, strategy, metric_name,
     updated_at, finished_at, started_at, ready_at, ttr_ms, baselines_pending, lease_owner, lease_expires_at)
   SELECT ${id('job', 'n')}, ${tenantOf('n')}, ${id('rol', `CASE WHEN n <= ${LARGE} THEN 1 ELSE n - ${LARGE} + 8 END`)},
     ${id('adp', 'n')}, ${id('adv', 'n')}, (CASE WHEN n % 100 = 0 THEN 'control' ELSE 'adaptation' END)::job_kind,
     (CASE WHEN n <= 10 THEN 'fine_tuning' WHEN n <= 100 THEN 'queued' WHEN n % 1000 = 1 THEN 'failed'
       ELSE 'ready' END)::job_state,
     'auto', 'accuracy', now() - interval '1 day' + make_interval(secs => n * 86400.0 / ${2 * LARGE}),
     CASE WHEN n <= 100 THEN NULL ELSE now() - make_interval(secs => n) END, now(),
     CASE WHEN n <= 100 THEN NULL ELSE now() END,
     CASE WHEN n <= 100 THEN NULL ELSE n END, n BETWEEN 101 AND 110,
     CASE WHEN n <= 10 THEN 'dead' END, CASE WHEN n <= 10 THEN now() - interval '1 minute' END
   FROM generate_series(1, ${2 * LARGE - 8}) n`,
  `INSERT INTO adapter_versions (id, tenant_id, adapter_id, base_model_version_id, parent_version_id, number, origin,
     artifact_digest, rank, lora_alpha, job_id)
   SELECT ${id('adv', `n + ${2 * LARGE}`)}, ${id('ten', '1')}, ${id('adp', '(n - 1) / 200 + 1')}, ${id('bmv', '2')},
     ${id('adv', '1')}, n + 1, 'adapted', 'none', 4, 8, ${id('job', 'n')}
   FROM generate_series(1, ${LARGE}) n`,
  // A few adapters in the middle, with one version each, are also on another base model version.
  `INSERT INTO current_versions (adapter_id, base_model_version_id, tenant_id, adapter_version_id)
   SELECT ${id('adp', 'n')}, ${id('bmv', '3')}, ${tenantOf('n')}, ${id('adv', 'n')} FROM generate_series(1001, 1100) n`,
  `INSERT INTO negative_flips (adapter_version_id, tenant_id, flips)
   SELECT ${id('adv', `n + ${2 * LARGE}`)}, ${id('ten', '1')},
     (SELECT jsonb_agg(jsonb_build_object('row', row, 'slices', '[]'::jsonb)) FROM generate_series(1, 100) row)
   FROM generate_series(1, ${LARGE}) n`,
  `INSERT INTO search_evaluations (job_id, index, tenant_id, fusion_alpha, fusion_beta, rows, metric, loss, duration_ms)
   SELECT ${id('job', 'n')}, i, ${tenantOf('n')}, 1, 0, 16, 'loss', 1, 1
   FROM generate_series(101, ${LARGE}) n CROSS JOIN generate_series(1, 2) i`,
  `INSERT INTO search_evaluations (job_id, index, tenant_id, fusion_alpha, fusion_beta, rows, metric, loss, duration_ms)
   SELECT ${id('job', '1')}, i, ${id('ten', '1')}, 1, 0, 16, 'loss', 1, 1 FROM generate_series(1, 100) i`,
  `INSERT INTO metric_points (tenant_id, job_id, name, step, value)
   SELECT ${id('ten', '1')}, ${id('job', `CASE WHEN n % 2 = 1 THEN 1 ELSE n / 2 END`)}, 'loss', n, 1
   FROM generate_series(1, ${2 * LARGE}) n`,
  // Half of the events belong to rollout 1; a few of those belong to tenant 1, which has half of all events.
  `INSERT INTO events (id, tenant_id, type, subject_id, data)
   SELECT ${id('evt', 'n')}, ${tenantOf('n')}, 'job.ready', ${id('job', 'n / 10 + 1')}, jsonb_build_object(
     'rollout_id', CASE WHEN n % 2 = 0 OR n > ${2 * LARGE - 20} THEN ${id('rol', '1')} ELSE ${id('rol', 'n')} END,
     'adapter_id', ${id('adp', 'n')}, 'kind', 'adaptation')
   FROM generate_series(1, ${2 * LARGE}) n`,
  `INSERT INTO audit_entries (id, tenant_id, actor, operation, subject_id)
   SELECT ${id('aud', 'n')}, ${tenantOf('n')}, 'tenant', 'cancelJob', ${id('job', 'n / 10 + 1')}
     FROM generate_series(1, ${2 * LARGE}) n`,
  `INSERT INTO replicas (id, name, engine, url, base_model_version_id, path_prefix, max_adapters, aliases, "check",
   tenant_ids, labels,
     unload_after_ms)
   SELECT ${id('rep', 'n')}, 'replica-' || n, 'vllm', 'http://10.0.0.1:' || n, ${id('bmv', '3')}, '/adapters', 1000,
     true, 'none', '{}', '{}', 0
   FROM generate_series(1, ${LARGE}) n`,
  `INSERT INTO base_model_uploads (id, state, files_digest, bytes, part_bytes)
   SELECT ${id('bmu', 'n')}, CASE WHEN n % 1000 < 100 THEN 'open' ELSE 'complete' END, 'sha256:' || lpad(n::text, 64,
     '0'), 1, 1024
   FROM generate_series(1, ${LARGE}) n`,
  `INSERT INTO replica_adapters (id, replica_id, tenant_id, adapter_id, engine_name, state)
   SELECT ${id('rpa', 'n')}, ${id('rep', 'CASE WHEN n % 2 = 1 THEN 1 ELSE n / 2 END')}, ${tenantOf('n')},
     ${id('adp', 'n')}, 'a.b@' || n,
     CASE WHEN n % 1000 < 100 THEN 'failed' ELSE 'loaded' END
   FROM generate_series(1, ${2 * LARGE}) n`,
  `INSERT INTO webhook_endpoints (id, tenant_id, url, event_types, position_transaction_id, position_seq)
   SELECT ${id('whe', 'n')}, ${tenantOf('n')}, 'https://hooks.example.com/', '{}', 0, 0
     FROM generate_series(1, ${2 * LARGE}) n`,
  `INSERT INTO webhook_deliveries (id, endpoint_id, tenant_id, event_id, event_type, state, next_attempt_at,
   last_attempt_at)
   SELECT ${id('whd', 'n')}, ${id('whe', 'CASE WHEN n % 2 = 1 THEN 1 ELSE n END')}, ${tenantOf('n')}, ${id('evt', 'n')},
     'job.ready',
     CASE WHEN n % 1000 < 100 THEN 'pending' WHEN n % 1000 < 200 THEN 'failed' ELSE 'delivered' END,
     CASE WHEN n % 1000 < 100 THEN now() + interval '1 hour' END, now()
   FROM generate_series(1, ${2 * LARGE}) n`,
  // Usage of tenant 1 in earlier months, and a little in this one.
  `INSERT INTO device_uses (tenant_id, job_id, started_at, ended_at)
   SELECT ${id('ten', '1')}, ${id('job', 'n')}, at, at + interval '1 second'
   FROM generate_series(1, ${LARGE}) n
   CROSS JOIN LATERAL (SELECT CASE WHEN n <= 20 THEN now() ELSE now() - interval '40 days' END AS at) AS times`,
  `INSERT INTO workers (id, host, pid, version, device, state)
   SELECT ${id('wrk', 'n')}, 'host-' || n, 1, '0', 'cpu', 'ready' FROM generate_series(1, ${LARGE}) n`,
  // Every second forecast is for the first base model version.
  `INSERT INTO rollout_forecasts (id, base_model_version_id, state, options)
   SELECT ${id('rfc', 'n')}, ${id('bmv', `CASE WHEN n % 2 = 1 THEN 1 ELSE n END`)}, 'computed', '{}'
     FROM generate_series(1, ${LARGE}) n`,
  `INSERT INTO outbox (queue, job_id, payload, created_at)
   SELECT 'adaptations', ${id('job', 'n')}, jsonb_build_object('name', 'adaptation.run', 'payload',
     jsonb_build_object('jobId', n)),
     CASE WHEN n <= 10 THEN now() - interval '1 minute' ELSE now() + interval '1 hour' END
   FROM generate_series(1, ${LARGE}) n`,
];
