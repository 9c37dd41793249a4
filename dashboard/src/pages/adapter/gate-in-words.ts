import type { Adapter } from '@readapt/client';
import { percent } from '../../lib/format.ts';
import { asked, metricName } from '../../lib/metric-words.ts';

function valueWanted(gate: Adapter['gate'], metric: Adapter['metric']): string {
  const name = metricName(metric);
  if (gate.kind === 'absolute') return `${name} of ${asked(metric, gate.target)}`;
  return `${name} at most ${gate.margin} worse than that of the imported version on its own base`;
}

/**
 * Words the condition of a gate whose rows are prompts without answers, so that it measures agreement with an earlier
 * version. Exact match of a version with itself is always 1, so its threshold is 1 − margin. A text score such as
 * ROUGE-L is 0 for an answer without countable words, so its full agreement can be below 1 and the threshold is worded
 * relative to it.
 */
function agreementWanted(gate: Adapter['gate'], metric: Adapter['metric']): string {
  const agreement = (version: string) => `agreement with the ${version} version (${metricName(metric)})`;
  if (gate.kind === 'absolute') return `${agreement('old')} of ${asked(metric, gate.target)}`;
  if (metric === 'exact_match') return `${agreement('imported')} of ${asked(metric, 1 - gate.margin)}`;
  return `${agreement('imported')} at most ${gate.margin} below full agreement`;
}

/**
 * Condition that a version must meet to pass the gate, in words.
 * @param promptsOnly whether the dataset has prompts without answers, so that an earlier version's answers are the
 * reference
 */
export function gateInWords(gate: Adapter['gate'], metric: Adapter['metric'], promptsOnly: boolean): string {
  const wanted = promptsOnly ? agreementWanted(gate, metric) : valueWanted(gate, metric);
  const certified = gate.confidence === undefined ? '' : `, certified with a confidence of ${percent(gate.confidence)}`;
  const flips =
    gate.max_negative_flips === undefined ? '' : `, and at most ${percent(gate.max_negative_flips)} negative flips`;
  return `${wanted}${certified}${flips}`;
}
