import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { alertRules, RULE_TESTS, RULES, testedAlerts } from './monitoring.ts';

const promtool = (...args: string[]) => {
  const { status, stdout, stderr, error } = spawnSync('promtool', args, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  return { status, output: stdout + stderr };
};

/** Anchor of a heading on GitHub. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');

describe('the alert rules', () => {
  test('are rules', () => {
    expect(promtool('check', 'rules', RULES)).toMatchObject({ status: 0 });
  });

  test('fire when they should, and only then', () => {
    const { status, output } = promtool('test', 'rules', RULE_TESTS);
    expect(status, output).toBe(0);
  });

  test('all have a test in which they fire and one in which they do not', async () => {
    const tested = await testedAlerts();
    for (const { alert } of await alertRules())
      expect({ alert, ...tested.get(alert) }).toEqual({ alert, fires: true, silent: true });
  });

  test('name a section of the runbook, and stand in its table', async () => {
    const page = await readFile('docs/operating.md', 'utf8');
    const anchors = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => `docs/operating.md#${anchorOf(heading!)}`);
    const listed = [...page.matchAll(/^\| `(Readapt\w+)`\s+\| (\w+)/gm)].map(([, alert, severity]) => [
      alert,
      severity,
    ]);
    const rules = await alertRules();
    for (const { alert, annotations } of rules) expect(anchors, alert).toContain(annotations.runbook);
    expect(listed.sort()).toEqual(rules.map(({ alert, labels }) => [alert, labels.severity]).sort());
  });
});
