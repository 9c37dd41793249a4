import type { Adapter } from '@readapt/client';
import { percent } from '../../lib/format.ts';
import { asked, metricName } from '../../lib/metric-words.ts';

/**
 * What a gate asks of a version, as a sentence.
 * @param promptsOnly whether the rows are prompts alone, whose answers are those of an earlier version
 */
export function gateInWords(gate: Adapter['gate'], metric: Adapter['metric'], promptsOnly: boolean): string {
  const name = promptsOnly ? `agreement with the old version (${metricName(metric)})` : metricName(metric);
  const reference = promptsOnly ? 'the one with itself' : 'that of the imported version on its own base';
  const wanted =
    gate.kind === 'absolute'
      ? `${name} of ${asked(metric, gate.target)}`
      : `${name} at most ${gate.margin} worse than ${reference}`;
  const certified = gate.confidence === undefined ? '' : `, certified with a confidence of ${percent(gate.confidence)}`;
  const flips =
    gate.max_negative_flips === undefined ? '' : `, and at most ${percent(gate.max_negative_flips)} negative flips`;
  return `${wanted}${certified}${flips}`;
}
