import type { Adapter } from '@readapt/client';
import { percent } from '../../lib/format.ts';
import { asked, metricName } from '../../lib/metric-words.ts';

function valueWanted(gate: Adapter['gate'], metric: Adapter['metric']): string {
  const name = metricName(metric);
  if (gate.kind === 'absolute') return `${name} of ${asked(metric, gate.target)}`;
  return `${name} at most ${gate.margin} worse than that of the imported version on its own base`;
}

/** A version agrees with itself on all rows, but a score of a text against itself is 0 where no word counts. */
function agreementWanted(gate: Adapter['gate'], metric: Adapter['metric']): string {
  const agreement = (version: string) => `agreement with the ${version} version (${metricName(metric)})`;
  if (gate.kind === 'absolute') return `${agreement('old')} of ${asked(metric, gate.target)}`;
  if (metric === 'exact_match') return `${agreement('imported')} of ${asked(metric, 1 - gate.margin)}`;
  return `${agreement('imported')} at most ${gate.margin} below full agreement`;
}

/**
 * What a gate asks of a version, as a sentence.
 * @param promptsOnly whether the rows are prompts alone, whose answers are those of an earlier version
 */
export function gateInWords(gate: Adapter['gate'], metric: Adapter['metric'], promptsOnly: boolean): string {
  const wanted = promptsOnly ? agreementWanted(gate, metric) : valueWanted(gate, metric);
  const certified = gate.confidence === undefined ? '' : `, certified with a confidence of ${percent(gate.confidence)}`;
  const flips =
    gate.max_negative_flips === undefined ? '' : `, and at most ${percent(gate.max_negative_flips)} negative flips`;
  return `${wanted}${certified}${flips}`;
}
