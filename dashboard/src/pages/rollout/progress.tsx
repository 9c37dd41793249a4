import { Card, Flex, Text } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import type { Rollout } from '@readapt/client';
import { useViewer } from '../../api/viewer.ts';
import { counted } from '../../lib/format.ts';
import { leftOutWords } from '../../lib/left-out-words.ts';
import { Section } from '../../parts/layout/section.tsx';
import { StateBar } from '../../parts/values/state-bar.tsx';
import { forecastQuery } from './rollout-queries.ts';

/** Progress of the rollout: its jobs by state, its waves, and the adapters left out. */
export function Progress({ rollout }: { rollout: Rollout }) {
  const { jobs, controls, waves } = rollout;
  return (
    <Section title="How far it is">
      <Card size="2">
        <Flex direction="column" gap="4">
          <StateBar counts={jobs} of="jobs" />
          {Object.keys(controls).length > 0 && (
            <Flex direction="column" gap="1">
              <Text size="2">
                Controls: the same adapters trained from scratch, after all others, so that the speed-up is measured
              </Text>
              <StateBar counts={controls} of="controls" />
            </Flex>
          )}
          {waves !== null && waves.total > 1 && <Waves rollout={rollout} waves={waves} />}
          <LeftOut leftOut={rollout.left_out} />
        </Flex>
      </Card>
    </Section>
  );
}

interface Wave {
  readonly number: number;
  readonly word: 'ended' | 'released' | 'tripped' | 'refused' | 'waits for an approval' | 'waits';
}

const WAVE_CLASSES: Readonly<Record<Wave['word'], string>> = {
  ended: 'wave-ended',
  released: 'wave-released',
  tripped: 'wave-tripped',
  refused: 'wave-tripped',
  'waits for an approval': 'wave-asks',
  waits: 'wave-waits',
};

function Waves({ rollout, waves }: { rollout: Rollout; waves: NonNullable<Rollout['waves']> }) {
  const { isOperator } = useViewer();
  const { data: forecast } = useQuery({ ...forecastQuery(rollout), enabled: isOperator });
  return (
    <div>
      <Text size="2" as="p" mb="2">
        Waves: the jobs of one begin when those of the wave before have ended
      </Text>
      <ol className="waves" aria-label="Waves">
        {wavesOf(rollout, waves).map(({ number, word }) => (
          <li key={number} className={WAVE_CLASSES[word]}>
            <Text as="p" size="2" weight="medium">
              {number === 1 ? 'Wave 1, the canary' : `Wave ${number}`}
            </Text>
            <Text as="p" size="1">
              {word}
              {forecast?.waves[number - 1] !== undefined && `, ${counted(forecast.waves[number - 1]!, 'adapter')}`}
            </Text>
          </li>
        ))}
      </ol>
    </div>
  );
}

function wavesOf(
  rollout: Rollout,
  { released, total, awaiting_approval: asks }: NonNullable<Rollout['waves']>,
): Wave[] {
  const reason = rollout.paused_reason;
  return Array.from({ length: total }, (_, index) => {
    const number = index + 1;
    if (reason?.wave === number && reason.code === 'pause_if') return { number, word: 'tripped' };
    if (reason?.wave === number && reason.code === 'approval_refused') return { number, word: 'refused' };
    if (number > released) return { number, word: asks && number === released + 1 ? 'waits for an approval' : 'waits' };
    const over = number < released || asks || rollout.finished_at !== null;
    return { number, word: over ? 'ended' : 'released' };
  });
}

function LeftOut({ leftOut }: { leftOut: Rollout['left_out'] }) {
  const parts = Object.entries(leftOut ?? {}).filter(([, number]) => number > 0);
  if (parts.length === 0) return null;
  return (
    <Text as="p" size="2" color="gray">
      Left out: {parts.map(([code, number]) => `${number} ${leftOutWords(code)}`).join(', ')}.
    </Text>
  );
}
