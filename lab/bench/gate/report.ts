import { intervalOf, takesOneLook, type Simulated } from './simulate.ts';

export interface GateSimulation {
  readonly errors: readonly Simulated[];
  readonly power: readonly Simulated[];
  /** Same jobs as in `power`, with a `least_power` of 0. */
  readonly patient: readonly Simulated[];
  /** Jobs whose first look is of interest. */
  readonly looks: readonly Simulated[];
}

/** Writes the tables of docs/method/gate.md. */
export function toMarkdown({ errors, power, patient, looks }: GateSimulation): string {
  return [...errorTable(errors), '', ...powerTable(power, patient), '', ...lookTable(looks)].join('\n');
}

function errorTable(errors: readonly Simulated[]): string[] {
  const rows = errors.map((one) => {
    const [low, high] = intervalOf(one.certified, one.jobs).map(percent);
    const published = `${percent(one.certified / one.jobs)} (${low} to ${high})`;
    const reached = percent(one.reached / one.jobs);
    const looks = `${one.looks.toFixed(1)} (${one.most})`;
    const model = `\`${one.strategy}\` | ${one.metric} | ${percent(one.flips)} | ${one.persistence * 100} %`;
    return `| ${model} | ${looks} | ${published} | ${reached} |`;
  });
  return [
    '| strategy | metric | rows flipped, % | flips that stay | looks, mean (most) ' +
      '| published, % (95 % interval) | by value alone, % |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ];
}

/** Writes the shares of certified jobs. A second number is that of jobs with a `least_power` of 0, if it differs. */
function powerTable(power: readonly Simulated[], patient: readonly Simulated[]): string[] {
  const margins = [...new Set(power.map(({ margin }) => margin))];
  const lines = new Map<string, string[]>();
  for (const [i, one] of power.entries()) {
    const head = `| ${percent(one.flips)} | ${one.rows} |`;
    const [share, most] = [one, patient[i]!].map(({ certified, jobs }) => ((100 * certified) / jobs).toFixed(0));
    lines.set(head, [...(lines.get(head) ?? []), share === most ? share! : `${share} (${most})`]);
  }
  const heads = margins.map((margin) => `${Number((margin * 100).toFixed(2))} points`);
  return [
    `| rows flipped, % | gate rows | ${heads.join(' | ')} |`,
    `| --- | --- | ${margins.map(() => '---').join(' | ')} |`,
    ...[...lines].map(([head, cells]) => `${head} ${cells.join(' | ')} |`),
  ];
}

function lookTable(looks: readonly Simulated[]): string[] {
  const rows = looks.map((one) => {
    const { deficit, flips, firstCertified, jobs, firstRows } = one;
    const [low, high] = intervalOf(firstCertified, jobs).map(percent);
    const share = `${percent(firstCertified / jobs)} (${low} to ${high})`;
    const look = takesOneLook(one) ? 'only' : 'first of several';
    return `| ${look} | ${percent(deficit)} | ${percent(flips)} | ${share} | ${firstRows.toFixed(0)} |`;
  });
  return [
    '| look | worse by, points | rows flipped, % | certified, % (95 % interval) | rows measured, mean |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ];
}

const percent = (share: number): string => (100 * share).toFixed(1);
