import type { CostFigures, ReplicaBenchFigures } from './measure.ts';

/** Writes the figures as a Markdown table. */
export function toMarkdown({ replicas, adapters, filling, comparing, idle, changeMs }: ReplicaBenchFigures): string {
  const all = replicas * adapters;
  const rate = filling.loaded / filling.seconds;
  const rows = [
    row('filling empty replicas', filling, `${filling.loaded} of ${all} adapters, ${rate.toFixed(0)}/s`),
    row('a start with all adapters loaded', comparing, 'until all are in sync'),
    row('nothing happens', idle, `${(idle.transactions / idle.seconds).toFixed(1)} transactions/s`),
  ];
  return [
    `${replicas} replicas with ${adapters} adapters each, names and aliases:`,
    '',
    '| what | seconds | CPU of the process | CPU of PostgreSQL | |',
    '| --- | ---: | ---: | ---: | --- |',
    ...rows,
    '',
    `Resident memory of the process at the end: ${(idle.residentBytes / 2 ** 20).toFixed(0)} MiB. ` +
      `A new version was served by its alias in all replicas after ${(changeMs / 1000).toFixed(1)} s.`,
  ].join('\n');
}

function row(what: string, { seconds, reconcilerCpuMs, databaseCpuMs }: CostFigures, more: string): string {
  const share = (ms: number): string => `${(ms / 1000).toFixed(1)} s (${(ms / 10 / seconds).toFixed(1)} %)`;
  return `| ${what} | ${seconds.toFixed(1)} | ${share(reconcilerCpuMs)} | ${share(databaseCpuMs)} | ${more} |`;
}
