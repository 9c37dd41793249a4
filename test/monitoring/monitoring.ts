import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';

export const RULES = 'deploy/helm/readapt/files/rules.yaml';
export const RULE_TESTS = 'deploy/prometheus/rules.test.yaml';

export interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

export async function alertRules(): Promise<AlertRule[]> {
  const { groups } = parse(await readFile(RULES, 'utf8')) as { groups: { rules: AlertRule[] }[] };
  return groups.flatMap((group) => group.rules);
}

/** Coverage of each alert by the rules' tests: whether it fires in one of them, and whether it stays silent in one. */
export async function testedAlerts(): Promise<Map<string, { fires: boolean; silent: boolean }>> {
  interface Case {
    alertname: string;
    exp_alerts?: unknown[];
  }
  const { tests } = parse(await readFile(RULE_TESTS, 'utf8')) as { tests: { alert_rule_test: Case[] }[] };
  const found = new Map<string, { fires: boolean; silent: boolean }>();
  for (const { alertname, exp_alerts: expected = [] } of tests.flatMap((test) => test.alert_rule_test)) {
    const { fires = false, silent = false } = found.get(alertname) ?? {};
    found.set(alertname, { fires: fires || expected.length > 0, silent: silent || expected.length === 0 });
  }
  return found;
}

export interface PanelQuery {
  readonly panel: string;
  readonly query: string;
}

interface Panel {
  title: string;
  targets?: { expr: string }[];
}

/** Queries of the dashboard as Grafana sends them. */
export async function dashboardQueries(): Promise<PanelQuery[]> {
  const { panels } = JSON.parse(await readFile('deploy/grafana/readapt.json', 'utf8')) as { panels: Panel[] };
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ panel: title, query: expr.replaceAll('$__rate_interval', '5m') })),
  );
}

/** Names of Readapt's metrics in a query. */
export const metricNames = (query: string): string[] => query.match(/\breadapt_\w+/g) ?? [];
