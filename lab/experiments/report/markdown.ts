import { DEFAULT_CONFIDENCE } from '../../../core/options/gates.ts';
import { duration, percent } from '../../../cli/screen/output.ts';
import { metricTitle, type MetricName } from '../../../core/options/metrics.ts';
import type { Experiment } from '../config/load-experiment.ts';
import type { EvolutionRecord, RunRecord } from '../records.ts';
import { countedLines } from './counted.ts';
import type { GateCheck } from './gate-check.ts';
import { comparisonSection } from './comparisons/comparison-section.ts';
import { furtherSections } from './tables/further-tables.ts';
import { surfacesSection } from './tables/surfaces.ts';
import { timesSection } from './tables/times.ts';
import { metricFormat, ratio, seconds, share, table } from './format.ts';
import type { GroupSummary, StrategySummary, Summary } from './summary.ts';

export interface Chart {
  /** File name within the report's folder. */
  readonly file: string;
  readonly title: string;
  /** Paragraph above the chart. */
  readonly text: string;
}

/** Writes the report as Markdown. */
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
    ...(measured < planned
      ? [`**This report is not complete: ${measured} of ${planned} items have been measured.**`, '']
      : []),
    ...failed.map(({ key, error }) => `- ${key} failed: ${error}`),
    ...conditions(experiment, summary),
    ...countedLines(experiment, summary),
    '',
    ...furtherSections(experiment, summary.further, summary.baselines),
    '## All jobs together',
    '',
    ...overallTable(summary),
    '',
    ...LEGEND,
    '',
    '## Task by task',
    '',
    'Each cell has the final value on test rows and, after the dot, the TTR in seconds.',
    '',
    ...glanceTable(experiment, summary),
    '',
    ...comparisonSection(summary, name),
    ...timesSection(summary.times),
    ...gateSection(summary),
    ...surfacesSection(summary.surfaces, name),
    '## Evolutions',
    '',
    experiment.tenants_apart
      ? 'The difference of two bases is computed for each tenant, who may each be measured elsewhere, ' +
        'and is not part of any TTR.'
      : 'The difference of two bases is computed once for all tenants, as in a rollout, and is not part of any TTR.',
    '',
    ...table(
      ['evolution', 'drift, %', 'drift of adaptable modules, %', 'captured energy, %', 'computing time, s'],
      summary.evolutions.map(evolutionRow),
    ),
    '',
    ...summary.groups.flatMap((group) => [...groupSection(group, summary.baselines), '']),
    ...charts.flatMap(chartSection),
  ].join('\n');
}

function chartSection({ file, title, text }: Chart): string[] {
  return [`## ${title}`, '', text, '', `![${title}](${file})`, ''];
}

const LEGEND = [
  '- *ready*: number of jobs that passed the gate within their budget.',
  '- *TTR*: time to readiness in seconds, from the start of the job to its first published version, on a',
  '  process that has the bases loaded and their programs compiled. Search, training and gate are included. The',
  '  value is the time by which half of all jobs were ready, with the jobs that spent their budget in vain',
  '  among them; – if fewer than half were ready.',
  "- *× shorter*: the median over tenants of the baseline's TTR divided by the strategy's. A job that was not",
  '  ready counts as 0. If the baseline was not ready, its whole budget counts as its TTR, and ≥ marks the',
  '  median as a lower bound.',
  '- *search*: mean time of the evaluations of α and β, fusion included, of the jobs that made any. The',
  '  gradients for groups of modules are not included. *all*: mean time of the whole job, with the time after',
  '  readiness.',
  '- *first*, *final*: the metric on test rows, which neither search nor gate has seen, of the version that was',
  '  published first and of the best candidate (by the gate) when the budget was spent. Mean ± standard',
  '  deviation over seeds.',
  '- *flips*: negative flips, the share of test rows that the old version has right on the old base and the',
  '  final version has wrong; in brackets, the negative flips of the unchanged copy.',
];

function conditions({ seeds, gate, validation_rows, test_rows }: Experiment, { runs }: Summary): string[] {
  const run = runs.at(-1);
  const rows = (count: number | undefined, what: string): string => `${count ?? 'all'} ${what} rows`;
  const target = gateText(gate);
  const machine = run
    ? `${run.machine}; device ${run.device}, ${run.precision}, ${run.threads} threads; ` +
      `commit ${run.commit ?? 'unknown'}; ${run.at.slice(0, 10)}`
    : 'Nothing has been run yet';
  const lastOf =
    runs.length > 1 ? `; these are the conditions of the last of ${runs.length} runs${otherMachines(runs)}` : '';
  return [
    `${seeds.length} seeds (${seeds.join(', ')}); gate: ${target}; ${rows(validation_rows, 'validation')}, ` +
      `divided into search rows and gate rows; ${rows(test_rows, 'test')}.`,
    `${machine}${lastOf}.`,
  ];
}

function otherMachines(runs: readonly RunRecord[]): string {
  const last = runs.at(-1)?.machine;
  const others = new Set(runs.map(({ machine }) => machine).filter((machine) => machine !== last));
  return others.size === 0 ? '' : `, of which others were on ${[...others].join(' and on ')}`;
}

function gateText({ max_negative_flips: maxNegativeFlips, ...rule }: Experiment['gate']): string {
  const flips =
    maxNegativeFlips === undefined ? '' : `, with negative flips in at most the share ${maxNegativeFlips} of the rows`;
  const confidence = rule.confidence ?? (rule.kind === 'absolute' ? null : DEFAULT_CONFIDENCE);
  const certified = confidence === null ? '' : `, certified at ${Number((confidence * 100).toFixed(4))} %`;
  if (rule.kind === 'absolute') return `the value ${rule.target}${certified}${flips}`;
  return `the old version's value on the old base less ${rule.margin}${certified}${flips}`;
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

/** Writes the section on versions that gates with a margin published. Empty if no gate has one. */
function gateSection({ gates }: Summary): string[] {
  if (gates.length === 0) return [];
  const header = ['jobs of', 'gate', 'margin', 'jobs', 'published', 'below the margin', 'clearly', '% of jobs (95 %)'];
  return [
    '## What the gate let through',
    '',
    'A version is *below the margin* if it is worse than the old one on its own base by more than the margin on',
    'the test rows, which no job has seen, and *clearly* so if the 95 % interval of the difference (Tango) is',
    'below it, too. The share of all jobs that published one has the interval of Clopper and Pearson. *Kept',
    'back*: the best candidate of a job that published none.',
    '',
    ...table([...header, 'mean difference', 'kept back', 'below the margin'], gates.map(gateRow)),
    '',
  ];
}

function gateRow(gate: GateCheck): string[] {
  const { name, margin, holds, jobs, published, below, clearlyBelow, interval, difference, held, heldBelow } = gate;
  const points = (value: number): string => (100 * value).toFixed(1);
  return [
    name,
    holds ? 'certifies' : 'by value',
    margin === null ? 'all' : points(margin),
    ...[jobs, published, below, clearlyBelow].map(String),
    `${points(below / jobs)} (${interval.map(points).join(' to ')})`,
    difference === null ? '–' : points(difference),
    ...[held, heldBelow].map(String),
  ];
}

/** Writes a table with a line for each evolution, task, adapter recipe and number of rows. */
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
    `### ${task} (${metricTitle(metric as MetricName)}, ${unit}), ${evolution}, ${adapter}`,
    '',
    `The old version on the old base has ${value(old)}. The new base has ${value(none)} without an adapter and ` +
      `${value(copy)} with the unchanged copy, whose negative flips are ${share(copyFlips)} %.`,
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

/** Reads the figures from the summary of the product's `evolve`. */
function evolutionRow({ evolution, computeMs, summary }: EvolutionRecord): string[] {
  const { overall_drift: overall, adaptable_drift: adaptable, captured_energy: energy } = summary;
  const shown = (value: unknown, digits: number): string =>
    typeof value === 'number' ? (100 * value).toFixed(digits) : '–';
  return [evolution, shown(overall, 2), shown(adaptable, 2), shown(energy, 0), (computeMs / 1000).toFixed(1)];
}

/** Writes the labels and values that the terminal shows at the end of a run. */
export function toLines({ overall, baselines }: Summary): [string, string][] {
  return overall.map((one) => {
    const ratios = baselines
      .map((name) => (one.ratios[name] ? `, ${ratio(one.ratios[name])} × shorter than ${name}` : ''))
      .join('');
    const ttr = one.medianTtr === null ? '' : `, TTR ${duration(one.medianTtr)}`;
    return [
      one.strategy,
      `${one.ready} of ${one.jobs} ready${ttr}${ratios}, negative flips ${percent(one.flips?.mean ?? null)}`,
    ];
  });
}
