import { choiceTexts } from '../../core/data/choices.ts';
import { areAnswered, loadGivenDataset } from '../../core/data/dataset.ts';
import { keepGateApart, splitHeldOut, splitRows } from '../../core/data/task-split.ts';
import { inspectFolder } from '../../core/formats/inspect.ts';
import { gateAdvice, type GateAdvice } from '../../core/method/gate/advice.ts';
import type { MetricName } from '../../core/options/metrics.ts';
import { UsageError } from '../process/errors.ts';
import { defaultMetric } from '../models/loaded-bases.ts';
import { marginText } from './certificate-text.ts';

export interface GateReport {
  readonly document: object;
  readonly rows: readonly [string, string][];
}

/**
 * Computes from the number of a file's rows the smallest margin that a gate can certify, before anything runs. It does
 * so for two uses of the file: as a dataset of the service, which keeps part of the rows for the gate, and as the
 * `--validation` file of `readapt rebase`.
 */
export async function reportGate(subject: { base: string; adapter: string; data: string }): Promise<GateReport> {
  const { kind } = await inspectFolder(subject.adapter, subject.base);
  if (kind !== 'adapter') throw new UsageError(`--adapter ${subject.adapter} is a base model, expected a PEFT adapter`);
  const rows = await loadGivenDataset(subject.data);
  const metric = defaultMetric(areAnswered(rows) ? choiceTexts(rows) : null);
  const advised = { metric, promptsOnly: !areAnswered(rows) };
  const heldOut = { training: [], ...splitHeldOut(rows) };
  const dataset = gateAdvice(keepGateApart(splitRows(rows)).rows.gate.length, advised);
  const validation = gateAdvice(keepGateApart(heldOut).rows.gate.length, advised);
  return {
    document: { gate_advice: { metric, dataset, validation } },
    rows: [
      ['gate, as a dataset', adviceText(dataset, metric)],
      ['gate, as --validation', adviceText(validation, metric)],
    ],
  };
}

/**
 * Describes the margins that a number of gate rows can certify: `236 rows certify a margin of 4.8 points at 95 % as a
 * rule, and of 1.9 points if no row changes`.
 */
function adviceText(advice: GateAdvice | null, metric: MetricName): string {
  if (advice === null) return 'no rows';
  const { rows, confidence, certifiable_margin: usual, least_margin: least } = advice;
  if (usual === null || least === null) return `${rows} rows certify no margin`;
  const percent = Number((confidence * 100).toFixed(4));
  return (
    `${rows} rows certify a margin of ${marginText(usual, metric)} at ${percent} % as a rule, and of ` +
    `${marginText(least, metric)} if no row changes`
  );
}
