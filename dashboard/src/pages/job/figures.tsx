import { Card, Grid, Text } from '@radix-ui/themes';
import type { Job } from '@readapt/client';
import type { ReactNode } from 'react';
import { capitalized, count, counted, duration, percent, UNKNOWN } from '../../lib/format.ts';
import { useNow } from '../../parts/values/time.tsx';
import { metricName, metricValue } from '../../lib/metric-words.ts';
import { totalName } from './time/phases.tsx';
import { phaseTimes, totalOf } from './time/phase-times.ts';

/** Key figures of the job: time, metric, certificate and strategy. */
export function Figures({ job }: { job: Job }) {
  const { metric, certificate, attempt, step, total_steps: steps } = job;
  const total = totalOf(phaseTimes(job, useNow()));
  return (
    <Grid columns={{ initial: '1', xs: '2', md: '4' }} gap="3" mb="6">
      <Figure name={totalName(job)} value={duration(total)}>
        {attempt === 0 ? 'no worker has taken it yet' : `attempt ${count(attempt)}`}
      </Figure>
      <Figure name={`${capitalized(metricName(metric.name))} of the best candidate`} value={metricValue(metric.best)}>
        the gate asks for {metricValue(metric.target)}, the old version has {metricValue(metric.old)}
      </Figure>
      <Figure name="Certificate" value={certificate === null ? UNKNOWN : VERDICTS[certificate.verdict]}>
        {certificate === null ? withoutCertificate(metric.best) : evidence(certificate)}
      </Figure>
      <Figure name="Strategy" value={job.won_strategy ?? job.strategy}>
        {job.won_strategy === null ? 'asked for' : `of the best candidate; asked for was ${job.strategy}`}
        {step > 0 && `, step ${count(step)} of ${count(steps)}`}
      </Figure>
    </Grid>
  );
}

function evidence(certificate: NonNullable<Job['certificate']>): string {
  const { confidence, rows, available_rows: available = rows, analyses, level } = certificate;
  const measured = available > rows ? `${count(rows)} of ${count(available)} rows` : `${count(rows)} rows`;
  const analysed = analyses === undefined ? '' : ` in ${counted(analyses, 'analysis', 'analyses')}`;
  const spent = level === undefined ? '' : `; the look may err in ${percent(level)} of cases`;
  return `at ${percent(confidence)} confidence, on ${measured}${analysed}${spent}`;
}

function withoutCertificate(best: number | null): string {
  return best === null ? 'no candidate was judged yet' : 'the gate asks for a value, and for no certificate';
}

const VERDICTS = { passed: 'certified', failed: 'failed', inconclusive: 'not certified' } as const;

function Figure({ name, value, children }: { name: string; value: string; children: ReactNode }) {
  return (
    <Card size="2">
      <Text as="p" size="2" color="gray">
        {name}
      </Text>
      <Text as="p" size="6" weight="bold" className="figures any-text">
        {value}
      </Text>
      <Text as="p" size="2">
        {children}
      </Text>
    </Card>
  );
}
