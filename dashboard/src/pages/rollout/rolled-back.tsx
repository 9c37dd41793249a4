import { useQuery } from '@tanstack/react-query';
import type { Rollout, RolloutRollback } from '@readapt/client';
import { counted } from '../../lib/format.ts';
import { Time } from '../../parts/values/time.tsx';
import { Note } from './note.tsx';
import { rollbackQuery } from './rollout-queries.ts';

/** What the rollback of the rollout has done, for everybody who may see the rollout. */
export function RolledBack({ rollout, at }: { rollout: Rollout; at: string }) {
  const { data } = useQuery(rollbackQuery(rollout));
  return (
    <Note tone="amber" title={data === undefined ? 'The rollout was rolled back' : titleOf(data)}>
      {data !== undefined && data.left_alone > 0 && leftAlone(data.left_alone)}For those that went back, what was
      current on version {rollout.version} before the rollout is current again, or nothing where there was nothing.
      Rolled back <Time value={at} both />.
    </Note>
  );
}

function titleOf({ rolled_back: back, left_alone: alone }: RolloutRollback): string {
  const begin = `The rollout was rolled back: ${counted(back, 'adapter')} went back`;
  return alone === 0 ? begin : `${begin}, ${alone} stayed`;
}

function leftAlone(alone: number): string {
  return `${counted(alone, 'adapter')} stayed as ${alone === 1 ? 'it was' : 'they were'}, because something else had become current since. `;
}
