import type pg from 'pg';

/** Queries that return a line for each object of one kind in the schema `public`, in the format of prisma-schema.ts. */
const QUERIES = [
  `SELECT format('enum %s (%s)', t.typname, string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder)) AS line
   FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid
   WHERE t.typnamespace = 'public'::regnamespace GROUP BY t.typname`,

  `SELECT format('table %s', c.relname) AS line
   FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')`,

  `SELECT format('column %s.%s %s %s default %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                 CASE WHEN a.attnotnull THEN 'not null' ELSE 'null' END,
                 coalesce(pg_get_expr(d.adbin, d.adrelid), 'none')) AS line
   FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
   WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped`,

  `SELECT format('%s %s on %s (%s)%s',
                 CASE WHEN i.indisprimary THEN 'primary key' WHEN i.indisunique THEN 'unique index' ELSE 'index' END,
                 x.relname, c.relname,
                 (SELECT string_agg(pg_get_indexdef(i.indexrelid, n, true) ||
                                    CASE WHEN i.indoption[n - 1] & 1 = 1 THEN ' desc' ELSE '' END, ', ' ORDER BY n)
                  FROM generate_series(1, i.indnkeyatts) n),
                 CASE WHEN i.indpred IS NULL THEN '' ELSE ' where ' || pg_get_expr(i.indpred, i.indrelid) END) AS line
   FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
   WHERE c.relnamespace = 'public'::regnamespace`,

  `SELECT format('foreign key %s on %s (%s) references %s (%s) on delete %s on update %s', k.conname, c.relname,
                 (SELECT string_agg(a.attname, ', ' ORDER BY o) FROM unnest(k.conkey) WITH ORDINALITY u(n, o)
                  JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n), f.relname,
                 (SELECT string_agg(a.attname, ', ' ORDER BY o) FROM unnest(k.confkey) WITH ORDINALITY u(n, o)
                  JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n),
                 ${action('k.confdeltype')}, ${action('k.confupdtype')}) AS line
   FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class f ON f.oid = k.confrelid
   WHERE k.contype = 'f' AND c.relnamespace = 'public'::regnamespace`,
];

function action(column: string): string {
  return `CASE ${column} WHEN 'a' THEN 'NO ACTION' WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE'
          WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' END`;
}

/** Describes all objects in a database except Prisma's table of applied migrations. */
export async function describeDatabase(client: pg.Client): Promise<string[]> {
  const lines: string[] = [];
  for (const query of QUERIES) {
    const { rows } = await client.query<{ line: string }>(query);
    lines.push(...rows.map((row) => row.line));
  }
  return lines.filter((line) => !line.includes('_prisma_migrations')).sort();
}
