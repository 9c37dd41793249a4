import pg from 'pg';
import { createDatabaseOn, statementNames, type Database } from '../../../src/platform/database/database.ts';

/** Node of a plan, as printed by EXPLAIN (ANALYZE, FORMAT JSON). */
interface PlanNode {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Index Recheck'?: number;
  Plans?: PlanNode[];
}

export interface Statement {
  sql: string;
  /** Number of rows read by its scans, including those removed by a filter. */
  read: number;
  /** Tables that were read completely, with their number of rows. */
  wholeTables: { table: string; rows: number }[];
  /** Largest number of rows sorted at once. */
  sorted: number;
  plan: string;
}

export interface PlanRecorder {
  /** Database whose connections record their plans. */
  db: Database;
  /** Records the statements of `work` with the plans that actually ran. */
  record(work: () => Promise<unknown>): Promise<Statement[]>;
  close(): Promise<void>;
}

const OPTIONS = [
  'session_preload_libraries=auto_explain',
  'auto_explain.log_min_duration=0',
  'auto_explain.log_analyze=on',
  'auto_explain.log_timing=off',
  'auto_explain.log_format=json',
  'auto_explain.log_level=notice',
];

/**
 * Records the plan of each statement, with the actual parameters, through PostgreSQL's auto_explain.
 * @param options further settings of the connections
 */
export function recordPlans(databaseUrl: string, options: readonly string[] = []): PlanRecorder {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: 1,
    options: [...OPTIONS, ...options].map((option) => `-c ${option}`).join(' '),
  });
  let statements: Statement[] = [];
  pool.on('connect', (client) => {
    client.on('notice', ({ message = '' }) => {
      const [, json] = /plan:\s*(\{[\s\S]*\})/.exec(message) ?? [];
      if (json !== undefined) statements.push(toStatement(json));
    });
  });
  const db = createDatabaseOn(pool, statementNames());
  return {
    db,
    record: async (work) => {
      statements = [];
      await work();
      return statements;
    },
    close: () => db.$disconnect(),
  };
}

function toStatement(json: string): Statement {
  const { 'Query Text': sql, Plan: root } = JSON.parse(json) as { 'Query Text': string; Plan: PlanNode };
  const nodes = all(root);
  const scans = nodes.filter((node) => node['Node Type'].endsWith('Scan') && node['Relation Name'] !== undefined);
  const sorts = nodes.filter((node) => node['Node Type'] === 'Sort' || node['Node Type'] === 'Incremental Sort');
  return {
    sql,
    read: scans.reduce((sum, node) => sum + rowsRead(node), 0),
    wholeTables: scans
      .filter((node) => node['Node Type'] === 'Seq Scan')
      .map((node) => ({ table: node['Relation Name'] ?? '', rows: rowsRead(node) })),
    sorted: Math.max(0, ...sorts.flatMap((node) => (node.Plans ?? []).map((input) => input['Actual Rows']))),
    plan: JSON.stringify(root, null, 1),
  };
}

function all(node: PlanNode): PlanNode[] {
  return [node, ...(node.Plans ?? []).flatMap(all)];
}

function rowsRead(node: PlanNode): number {
  const removed = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0);
  return (node['Actual Rows'] + removed) * node['Actual Loops'];
}
