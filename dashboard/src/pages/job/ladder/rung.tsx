import { Badge, Flex, Text } from '@radix-ui/themes';
import { duration } from '../../../lib/format.ts';
import { StateBadge } from '../../../parts/values/state-badge.tsx';
import type { Candidate, LadderRun, Rung } from '../job-record.ts';
import { rungName, rungTries, takenWord } from './rung-words.ts';
import { verdictInWords } from './verdict-words.ts';

interface RungEntryProps {
  readonly rung: Rung;
  readonly run: LadderRun;
  readonly metric: string;
  /** Whether the job has ended. An unfinished rung is then shown as broken off, not as running. */
  readonly isOver: boolean;
}

/** Rung of the ladder: its result, and the verdict on its best candidate or the reason for skipping it. */
export function RungEntry({ rung, run, metric, isOver }: RungEntryProps) {
  const best = run.candidates.find(({ id }) => id === rung.best_candidate);
  const isCurrent = run.current_rung === rung.rung;
  const taken = run.candidates.find(({ id, rung: of }) => id === run.published_candidate && of === rung.rung);
  return (
    <li className={`rung rung-${rung.result ?? (isCurrent ? 'running' : 'open')}`}>
      <Flex align="baseline" justify="between" gap="2" wrap="wrap">
        <Flex align="baseline" gap="2" wrap="wrap">
          <Text weight="bold">{rungName(rung.rung)}</Text>
          <Result rung={rung} isCurrent={isCurrent} isOver={isOver} />
          {taken !== undefined && taken.gate.verdict !== 'passed' && (
            <Badge color="amber" highContrast>
              {takenWord(taken)}
            </Badge>
          )}
        </Flex>
        {rung.ms >= 1 && (
          <Text size="2" className="figures">
            {duration(rung.ms)}
          </Text>
        )}
      </Flex>
      <Text as="p" size="2" color="gray">
        {rungTries(rung.rung)}
      </Text>
      <Outcome rung={rung} best={best} metric={metric} />
    </li>
  );
}

function Result({ rung: { result }, isCurrent, isOver }: { rung: Rung; isCurrent: boolean; isOver: boolean }) {
  if (result !== null) return <StateBadge state={result} size="1" />;
  if (!isCurrent) return null;
  return isOver ? <Badge color="red">broken off here</Badge> : <Badge color="blue">goes on</Badge>;
}

function Outcome({ rung, best, metric }: { rung: Rung; best: Candidate | undefined; metric: string }) {
  const words = best === undefined ? [] : verdictInWords(best.gate, metric);
  const reason = rung.reason === null ? [] : [`${REASONS[rung.result ?? ''] ?? ''}${inWords(rung.reason)}.`];
  return [...words, ...reason].map((sentence) => (
    <Text as="p" size="2" key={sentence} className="any-text">
      {sentence}
    </Text>
  ));
}

const REASONS: Readonly<Record<string, string>> = { skipped: 'Skipped, because ', not_run: 'Not run, because ' };

/** Replaces `fine_tune`, as the API writes it, by the readable name of the rung. */
function inWords(reason: string): string {
  return reason.replaceAll('fine_tune', 'fine-tune');
}
