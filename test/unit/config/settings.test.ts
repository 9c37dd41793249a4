import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../../src/platform/config/config.ts';
import { SETTING_GROUPS, SETTING_VARIABLES } from '../../../src/platform/config/settings.ts';
import { readapt } from '../cli/support/readapt.ts';

const SETTINGS = Object.values(SETTING_GROUPS).flat();
/** Variables that take any text. */
const FREE = SETTINGS.filter(({ kind }) => /^(folders|a folder|a host)/.test(kind.expected));
const RANGES = SETTINGS.flatMap(({ variable, kind: { expected } }) => {
  const [, min, max] = /integer from (\d+) to (\d+)/.exec(expected) ?? [];
  return min === undefined ? [] : [{ variable, min: Number(min), max: Number(max) }];
});

test('each setting has a variable of its own, and a sentence', () => {
  expect(new Set(SETTING_VARIABLES).size).toBe(SETTING_VARIABLES.length);
  for (const { help } of SETTINGS) expect(help).toMatch(/^[A-Z`].*\.$/);
});

describe('every variable is listed', () => {
  test('in docs/settings.md', async () => {
    const page = await readFile('docs/settings.md', 'utf8');
    for (const variable of SETTING_VARIABLES) expect(page).toContain(`| \`${variable}\` `);
  });

  test.each([
    ['serve', SETTINGS],
    ['worker', SETTINGS.filter(({ readBy }) => readBy !== 'api')],
  ])('by %s --help, which wraps its lines', async (command, settings) => {
    const { code, stdout } = await readapt(command, '--help');
    expect(code).toBe(0);
    const listed = stdout.split('\n').flatMap((line) => /^ {4}([A-Z][A-Z0-9_]+)$/.exec(line)?.[1] ?? []);
    expect(listed).toEqual(settings.map(({ variable }) => variable));
    const environment = stdout.slice(stdout.indexOf('\nEnvironment:'));
    for (const line of environment.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });
});

describe('a value that a setting does not take', () => {
  test.each(SETTINGS.filter((setting) => !FREE.includes(setting)))('$variable', ({ variable, kind }) => {
    const load = () => loadConfig({ [variable]: 'hunter2 hunter2' });
    expect(load).toThrow(new RegExp(`^${variable} is `));
    if (kind.isSecret === true) expect(load).not.toThrow(/hunter2/);
  });

  test.each(RANGES)('$variable from $min to $max', ({ variable, min, max }) => {
    for (const number of [min - 1, max + 1]) {
      expect(() => loadConfig({ [variable]: String(number) })).toThrow(
        `${variable} is "${number}", expected an integer`,
      );
    }
    for (const number of [min, max]) expect(() => loadConfig({ [variable]: String(number) })).not.toThrow();
  });
});
