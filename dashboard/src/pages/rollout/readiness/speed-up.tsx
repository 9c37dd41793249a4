import { Heading, Text } from '@radix-ui/themes';
import type { Rollout, TtrDistribution } from '@readapt/client';
import { counted } from '../../../lib/format.ts';

/** Number of pairs of an adapter and its control below which the text warns that the speed-up is unreliable. */
const FEW_PAIRS = 6;

interface SpeedUpProps {
  readonly distribution: TtrDistribution;
  readonly rollout: Rollout;
}

/** Speed-up over training from scratch, with its confidence interval. */
export function SpeedUp({ distribution: { speedup }, rollout }: SpeedUpProps) {
  if (speedup.median === null) return <NotMeasured rollout={rollout} />;
  return (
    <div>
      <Heading as="h3" size="5" className="figures">
        Ready {comparison(speedup.mean ?? speedup.median)} than from scratch
      </Heading>
      <Text as="p" size="2" mt="1">
        {certainty(speedup)}
      </Text>
      <Text as="p" size="2" color="gray" mt="1">
        Each pair is one adapter: carried over, and trained from scratch on the new version until it passes the same
        gate. Both times are without waiting.
      </Text>
    </div>
  );
}

function comparison(factor: number): string {
  return factor >= 1 ? `${times(factor)} times sooner` : `${times(1 / factor)} times later`;
}

function certainty({ pairs, low, high, median }: TtrDistribution['speedup']): string {
  if (low === null || high === null) {
    return `From ${counted(pairs, 'pair')} only: how sure that is cannot be said, because an interval needs five.`;
  }
  const interval = `95 % interval ${times(low)} to ${times(high)}, from ${counted(pairs, 'pair')}`;
  const middle = median === null ? '' : `; median ${times(median)}`;
  return pairs < FEW_PAIRS
    ? `${interval}${middle}. These are few: another rollout may come out quite differently.`
    : `${interval}${middle}.`;
}

function times(factor: number): string {
  return factor.toFixed(factor < 100 ? 1 : 0);
}

function NotMeasured({ rollout: { controls, finished_at: finished } }: { rollout: Rollout }) {
  const some = Object.values(controls).some((number) => number > 0);
  const [title, why] = some
    ? finished === null
      ? [
          'The speed-up is not measured yet',
          'Controls train the same adapters from scratch, after all others have ended.',
        ]
      : ['The speed-up was not measured', 'No adapter and its control, trained from scratch, both became ready.']
    : [
        'The speed-up is not measured',
        'This rollout has no controls. With a share of controls, some adapters are trained from scratch as well, ' +
          'so that the two can be compared.',
      ];
  return (
    <div>
      <Heading as="h3" size="4">
        {title}
      </Heading>
      <Text as="p" size="2" color="gray" mt="1">
        {why}
      </Text>
    </div>
  );
}
