import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { eventually } from '../eventually.ts';
import { freePort } from '../integration/support/redis.ts';

/** Value of an instant query with its labels. */
export interface Found {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Rule {
  readonly name: string;
  readonly health: string;
  readonly state: string;
  readonly lastError?: string;
}

/** Debian's Prometheus, scraping each target every second. */
export interface Prometheus {
  /** @throws Error if Prometheus refuses the query */
  query(expression: string): Promise<Found[]>;
  /** Names of all its metrics. */
  names(): Promise<string[]>;
  rules(): Promise<Rule[]>;
  stop(): Promise<void>;
}

export interface PrometheusOptions {
  folder: string;
  /** Targets as `host:port` by name of the scrape job. */
  targets: Readonly<Record<string, string>>;
  rules: string;
}

export async function startPrometheus({ folder, targets, rules }: PrometheusOptions): Promise<Prometheus> {
  const config = path.join(folder, 'prometheus.yaml');
  await writeFile(
    config,
    stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [path.resolve(rules)],
      scrape_configs: Object.entries(targets).map(([name, target]) => {
        return { job_name: name, static_configs: [{ targets: [target] }] };
      }),
    }),
  );
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    'prometheus',
    [`--config.file=${config}`, `--storage.tsdb.path=${folder}/tsdb`, `--web.listen-address=${address}`],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += String(chunk)));
  const ask = async <T>(route: string, query: Record<string, string> = {}): Promise<T> => {
    const answer = await fetch(`http://${address}/api/v1/${route}?${new URLSearchParams(query).toString()}`);
    const { data, error } = (await answer.json()) as { data: T; error?: string };
    if (error !== undefined) throw new Error(`Prometheus refuses ${query.query ?? route}: ${error}`);
    return data;
  };
  await eventually('Prometheus is ready', async () => {
    if (child.exitCode !== null) throw new Error(`Prometheus has ended:\n${log}`);
    return fetch(`http://${address}/-/ready`).then(
      (answer) => answer.ok,
      () => false,
    );
  });
  return {
    query: async (query) => {
      const { result } = await ask<{ result: { metric: Record<string, string>; value: [number, string] }[] }>('query', {
        query,
      });
      return result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
    },
    names: () => ask('label/__name__/values'),
    rules: async () => (await ask<{ groups: { rules: Rule[] }[] }>('rules')).groups.flatMap((group) => group.rules),
    stop: async () => {
      const exit = once(child, 'exit');
      if (child.exitCode === null && child.kill('SIGTERM')) await exit;
    },
  };
}
