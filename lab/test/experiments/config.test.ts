import { describe, expect, it } from 'vitest';
import { parseExperiment } from '../../experiments/config/load-experiment.ts';
import { PRECISION_SETTINGS } from '../../../core/options/precisions.ts';
import { STRATEGIES } from '../../../core/options/job-options.ts';
import { TINY_YAML, tinyExperiment } from './support/tiny-experiment.ts';

/** Text of the file, its replacement, and the message that refuses it. */
const REFUSED: readonly (readonly [from: string, to: string, message: string])[] = [
  ['seeds: [1, 2]', 'seeds: [1, -2]', 'seeds[1] is -2, expected at least 0'],
  [
    'metric: exact_match',
    'metric: f1',
    'tasks[0].metric is "f1", expected accuracy, exact_match, rouge_l, token_f1, loss',
  ],
  ['rows: [16]', 'row: [16]', 'row is not known, expected one of name, title, base'],
  ['rows: [16]', '', 'rows is missing'],
  ['gate: { kind: absolute, target: 1 }', 'gate: { kind: best }', 'gate is {"kind":"best"}, expected'],
  ['strategy: reuse', 'strategy: retry', `strategies[0].strategy is "retry", expected ${STRATEGIES.join(', ')}`],
  ['max_steps: 4', 'max_stepz: 4', 'strategies[2].options.max_stepz is not known, expected one of prefer, max_steps'],
  ['max_steps: 4', 'max_steps: many', 'strategies[2].options.max_steps is "many", expected an integer'],
  ['max_steps: 4', 'grouping: block', 'strategies[2].options.grouping is not known, expected one of prefer, max_steps'],
  ['max_steps: 4', 'least_power: -1', 'strategies[2].options.least_power is -1, expected at least 0'],
  ['seeds: [2] }', 'tasks: [plural] }', 'strategies[2].tasks names plural, expected one of past'],
  ['name: tuned', 'name: scratch', 'strategies has the name scratch twice'],
  ['name: tiny', 'name: [', 'cannot be used'],
  ['metric: exact_match', 'metric: exact_match\n    pool: [a.jsonl]', 'tasks[0].train is given beside pool'],
  ['validation_rows: 24', 'draws: [1]', 'validation_rows is missing, which draws need'],
  [
    ', base: FAMILY/v2 }',
    ', base: FAMILY/v2, parent: v2 }',
    'evolutions[0].parent is v2, expected an evolution that stands before it: nothing',
  ],
  [
    ' }]\ntasks',
    ' }, { name: v3, base: /v3, parent: v2 }]\n' +
      'surfaces: [{ task: past, evolution: v3, alpha: [0, 1, 2], beta: [0, 1, 2], strategy: copy }]\ntasks',
    'surfaces cannot show v3, expected one without a parent',
  ],
  [
    ' }]\ntasks',
    ', tasks: [past] }, { name: v3, base: /v3, parent: v2 }]\ntasks',
    'evolutions[1].tasks has all tasks, expected only tasks of its parent v2',
  ],
  [
    ' }]\ntasks',
    ', rows: [16] }, { name: v3, base: /v3, parent: v2 }]\ntasks',
    'evolutions[1].rows has all rows, expected only rows of its parent v2',
  ],
  [', base: FAMILY/v2 }', ', base: FAMILY/v2, rows: [8] }', 'evolutions[0].rows names 8, expected one of 16'],
  ['seeds: [1, 2]', 'seeds: [1]\ntenants_apart: 2', 'tenants_apart is 2, expected'],
  ['seeds: [1, 2]', 'seeds: [1]\nhours: 0', 'hours is 0, expected'],
  [
    'metric: exact_match',
    'metric: loss\n    append_eos: true',
    'tasks[0].append_eos is given, but nothing is generated for the metric loss',
  ],
  [
    'options: { max_steps: 2 }',
    'options_by_rows: { 64: { max_steps: 2 } }',
    'strategies[1].options_by_rows names 64, expected one of 16',
  ],
  ['options: { max_steps: 2 }', 'options_by_rows: { few: { max_steps: 2 } }', 'strategies[1].options_by_rows'],
  [
    'base: FAMILY/v1',
    'blind: true\nbase: /elsewhere/v1',
    'base is /elsewhere/v1, expected a folder or a link within the checkout',
  ],
  [
    'base: FAMILY/v2 }',
    'base: /elsewhere/v2 }]\nblind: true\n' +
      'surfaces: [{ task: past, evolution: v2, alpha: [0, 1, 2], beta: [0, 1, 2], strategy: copy }',
    'evolutions[0].base is /elsewhere/v2',
  ],
];

describe('the configuration of an experiment', () => {
  it('names options as the product does, and takes the strategy from its entry or its name', () => {
    const { strategies, gate } = tinyExperiment((yaml) =>
      yaml.replace('target: 1', 'target: 1, max_negative_flips: 0.02'),
    );
    expect(strategies[0]!.options).toEqual({ batch_size: 8, evaluate_every: 2, strategy: 'reuse' });
    expect(strategies[2]).toMatchObject({
      name: 'tuned',
      seeds: [2],
      options: { strategy: 'warm-start', max_steps: 4 },
    });
    expect(gate).toEqual({ kind: 'absolute', target: 1, max_negative_flips: 0.02 });
  });

  it('resolves paths relative to the file, and variables with and without a default', () => {
    const text = TINY_YAML.replace(/^base: .*$/m, 'base: ${BASES:-../bases}/v1').replace(
      /\{ name: v2, base: [^}]+\}/,
      '{ name: v2, base: "${OTHER}/v2" }',
    );
    expect(parseExperiment(text, { file: '/x/y/e.yaml', environment: { OTHER: '/other' } })).toMatchObject({
      base: '/x/bases/v1',
      evolutions: [{ base: '/other/v2' }],
    });
    expect(() => parseExperiment(text, { file: 'e.yaml', environment: {} })).toThrow(
      'evolutions[0].base needs the environment variable OTHER, which is not set',
    );
  });

  it.each(PRECISION_SETTINGS)('takes the precision %s', (precision) => {
    expect(tinyExperiment((yaml) => `${yaml}\nprecision: ${precision}\n`)).toMatchObject({ precision });
  });

  it('takes rows from a pool in place of three files, if it says how many', () => {
    const pooled = (yaml: string): string => yaml.replace(/train: [^]*?test: (.*)\n/, 'pool: [$1]\n');
    expect(tinyExperiment(pooled).tasks).toEqual([
      { name: 'past', metric: 'exact_match', pool: [expect.stringMatching(/past\/test\.jsonl$/)] },
    ]);
    const without = (setting: string) => () => tinyExperiment((yaml) => pooled(yaml).replace(setting, ''));
    expect(without('test_rows: 12')).toThrow('test_rows is missing, which drawing from a pool needs');
    expect(without('rows: 32, ')).toThrow('adapters[0].rows is missing');
    expect(() => tinyExperiment((yaml) => yaml.replace(/ {4}test: .*\n/, ''))).toThrow(
      'tasks[0].test is missing, or else pool',
    );
  });

  it('refuses a strategy of a chain that leaves out where its adapters come from', () => {
    const chained = (yaml: string): string =>
      yaml.replace(' }]\ntasks', ' }, { name: v3, base: /v3, parent: v2 }]\ntasks');
    expect(() => tinyExperiment((yaml) => chained(yaml).replace('reuse }', 'reuse, evolutions: [v3] }'))).toThrow(
      'strategies[0].evolutions has v3 without its parent v2, which its adapters come from',
    );
    expect(tinyExperiment(chained).evolutions[1]).toMatchObject({ parent: 'v2' });
  });

  it.each(REFUSED)('refuses %s as %s, saying where and what', (from, to, message) => {
    const written = (yaml: string): string => yaml.replace(/base: \S+\/demo-family/g, 'base: FAMILY');
    expect(written(TINY_YAML)).toContain(from);
    expect(() => tinyExperiment((yaml) => written(yaml).replace(from, to))).toThrow(message);
  });
});
