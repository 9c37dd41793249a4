import { duration, percent } from '../../cli/output.ts';
import type { Experiment } from '../config/load-experiment.ts';
import type { EvolutionRecord } from '../records.ts';
import { metricFormat, ratio, seconds, share, table } from './format.ts';
import type { GroupSummary, StrategySummary, Summary } from './summary.ts';

export interface Chart {
  /** Within the report's folder. */
  readonly file: string;
  readonly title: string;
  readonly text: string;
}

/** The report as Markdown. */
export function toMarkdown(
  experiment: Experiment,
  summary: Summary,
  { charts, command }: { readonly charts: readonly Chart[]; readonly command: string },
): string {
  const { name, title = name } = experiment;
  const { measured, planned, failed } = summary;
  return [
    `# ${title}`,
    '',
    '```',
    command,
    '```',
    '',
    ...(measured < planned ? [`**Not complete: ${measured} of ${planned} items measured.**`, ''] : []),
    ...failed.map(({ key, error }) => `- failed: ${key}: ${error}`),
    ...conditions(experiment, summary),
    '',
    '## All jobs together',
    '',
    ...overallTable(summary),
    '',
    ...LEGEND,
    '',
    '## Task by task',
    '',
    'Final value on test rows · TTR in seconds.',
    '',
    ...glanceTable(experiment, summary),
    '',
    '## Evolutions',
    '',
    'Computed once for all tenants and not part of any TTR, as in a rollout.',
    '',
    ...table(
      ['evolution', 'drift, %', 'of adaptable modules, %', 'energy in the directions kept, %', 'computed in, s'],
      summary.evolutions.map(evolutionRow),
    ),
    '',
    ...summary.groups.flatMap((group) => [...groupSection(group, summary.baselines), '']),
    ...charts.flatMap(({ file, title: heading, text }) => [
      `## ${heading}`,
      '',
      text,
      '',
      `![${heading}](${file})`,
      '',
    ]),
  ].join('\n');
}

const LEGEND = [
  '- *ready*: jobs whose gate passed within the budget. *TTR*: time to readiness in seconds, from the start of the job to the',
  '  first published version, evaluation, search and gate included, on a process that has the bases loaded and its programs',
  '  compiled: by when half of all jobs were ready, those that spent their budget in vain among them (– where fewer',
  '  were).',
  "- *× shorter*: the baseline's TTR over the strategy's, tenant by tenant, then the median. A job that was not ready has the",
  '  ratio 0. Where the baseline was given up, its whole budget stands for its TTR, and ≥ marks the median as a lower bound.',
  '- *search*: mean time of the evaluations of α and β, fusion included, in jobs that made any; those of groups of modules, by',
  '  gradients, are not in it. *all*: mean time of the whole job, with what it did after readiness.',
  '- *first*, *final*: test rows, which neither search nor gate saw, of the version published first and of the best one (by',
  '  the gate) when the budget was spent. Mean ± standard deviation over seeds.',
  '- *flips*: negative flips, test rows that the old version on the old base had right and the final version has wrong; in',
  '  brackets those of the plain copy.',
];

function conditions({ seeds, gate, validation_rows, test_rows }: Experiment, { runs }: Summary): string[] {
  const run = runs.at(-1);
  const rows = (count: number | undefined, what: string): string => `${count ?? 'all'} ${what} rows`;
  const target = gateText(gate);
  const machine = run
    ? `${run.machine}; device ${run.device}, ${run.precision}, ${run.threads} threads; commit ${run.commit ?? 'unknown'}; ${run.at.slice(0, 10)}`
    : 'never run';
  return [
    `${seeds.length} seeds (${seeds.join(', ')}); gate: ${target}; ${rows(validation_rows, 'validation')} (search and gate), ${rows(test_rows, 'test')}.`,
    `${machine}${runs.length > 1 ? `; ${runs.length} runs, the last one's conditions are given` : ''}.`,
  ];
}

function gateText({ max_negative_flips: maxNegativeFlips, ...rule }: Experiment['gate']): string {
  const flips = maxNegativeFlips === undefined ? '' : `, at most ${maxNegativeFlips} of the rows negative flips`;
  if (rule.kind === 'absolute') return `${rule.target}${flips}`;
  const shown = rule.kind === 'non_inferiority' ? ', shown by a confidence bound on the same rows' : '';
  return `the old version's value on the old base less ${rule.margin}${shown}${flips}`;
}

function overallTable({ overall, baselines }: Summary): string[] {
  const header = [
    'strategy',
    'jobs',
    'ready',
    'TTR',
    ...baselines.map((name) => `× shorter than ${name}`),
    ...baselines.map((name) => `final against ${name}`),
    'flips, % (copy)',
  ];
  const { difference } = metricFormat('accuracy');
  return table(
    header,
    overall.map((one) => [
      one.strategy,
      String(one.jobs),
      String(one.ready),
      seconds(one.medianTtr),
      ...baselines.map((name) => ratio(one.ratios[name] ?? null)),
      ...baselines.map((name) => difference(one.gains[name] ?? null)),
      flips(one),
    ]),
  );
}

/** One line for each evolution, task, kind of adapter and number of rows. */
function glanceTable({ strategies }: Experiment, { groups }: Summary): string[] {
  const names = strategies.map(({ name }) => name);
  return table(
    ['evolution', 'task', 'adapter', 'rows', 'old on old', ...names],
    groups.flatMap(({ evolution, task, adapter, metric, old, rows }) => {
      const { value } = metricFormat(metric);
      return rows.map((size) => {
        const found = names.map((name) => size.strategies.find(({ strategy }) => strategy === name));
        const cells = found.map((one) => (one ? `${value(one.final)} · ${seconds(one.medianTtr)}` : ''));
        return [evolution, task, adapter, String(size.rows), value(old), ...cells];
      });
    }),
  );
}

function groupSection(
  { evolution, task, adapter, metric, old, none, copy, copyFlips, rows }: GroupSummary,
  baselines: readonly string[],
): string[] {
  const { value, difference } = metricFormat(metric);
  const unit = metric === 'loss' ? 'nats a token' : '%';
  const header = [
    'rows',
    'strategy',
    'ready',
    'TTR',
    ...baselines.map((name) => `× shorter than ${name}`),
    'search, s',
    'all, s',
    'first',
    'final',
    ...baselines.map((name) => `final against ${name}`),
    'flips, %',
  ];
  return [
    `### ${task} (${metric.replace('_', ' ')}, ${unit}), ${evolution}, ${adapter}`,
    '',
    `Old version on the old base ${value(old)}; on the new one no adapter ${value(none)}, plain copy ${value(copy)} (negative flips ${share(copyFlips)} %).`,
    '',
    ...table(
      header,
      rows.flatMap((size) =>
        size.strategies.map((one) => [
          String(size.rows),
          one.strategy,
          `${one.ready} of ${one.jobs}`,
          seconds(one.medianTtr),
          ...baselines.map((name) => ratio(one.ratios[name] ?? null)),
          seconds(one.searchMs && one.searchMs.mean),
          seconds(one.elapsedMs && one.elapsedMs.mean),
          value(one.first),
          value(one.final),
          ...baselines.map((name) => difference(one.gains[name] ?? null)),
          share(one.flips),
        ]),
      ),
    ),
  ];
}

function flips({ flips: own, copyFlips }: StrategySummary): string {
  return own === null ? share(own) : `${share(own)} (${share(copyFlips)})`;
}

/** As the product's `evolve` summarizes it. */
function evolutionRow({ evolution, computeMs, summary }: EvolutionRecord): string[] {
  const { overall_drift: overall, adaptable_drift: adaptable, captured_energy: energy } = summary;
  const shown = (value: unknown, digits: number): string =>
    typeof value === 'number' ? (100 * value).toFixed(digits) : '–';
  return [evolution, shown(overall, 2), shown(adaptable, 2), shown(energy, 0), (computeMs / 1000).toFixed(1)];
}

/** What a terminal shows at the end. */
export function toLines({ overall, baselines }: Summary): [string, string][] {
  return overall.map((one) => {
    const ratios = baselines
      .map((name) => (one.ratios[name] ? `, ${ratio(one.ratios[name])} × shorter than ${name}` : ''))
      .join('');
    const ttr = one.medianTtr === null ? '' : `, TTR ${duration(one.medianTtr)}`;
    return [
      one.strategy,
      `${one.ready} of ${one.jobs} ready${ttr}${ratios}, flips ${percent(one.flips?.mean ?? null)}`,
    ];
  });
}
