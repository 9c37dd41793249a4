import { Callout, TabNav, Text } from '@radix-ui/themes';
import type { Evolution, EvolutionEntry } from '@readapt/client';
import { useQuery } from '@tanstack/react-query';
import { Link, useSearch } from '@tanstack/react-router';
import { ADVICE } from '../../lib/advice.ts';
import { duration, percent } from '../../lib/format.ts';
import { Empty, Loaded } from '../../parts/feedback/loaded.tsx';
import { Section } from '../../parts/layout/section.tsx';
import { Facts } from '../../parts/values/facts.tsx';
import { StateBadge } from '../../parts/values/state-badge.tsx';
import { chosenOf, evolutionQuery, evolutionsQuery } from './base-model-version-queries.ts';
import { Differences } from './differences.tsx';
import { DriftMap } from './drift-map.tsx';
import { EnergyCurve } from './energy-curve.tsx';

/** Changes of the base model since earlier versions. One of them is shown at a time. */
export function Evolutions({ versionId }: { versionId: string }) {
  const query = useQuery(evolutionsQuery(versionId));
  return (
    <Section title="What changed from the versions before">
      <Loaded query={query} what="the evolutions">
        {({ data }) => (data.length === 0 ? <NoEvolution /> : <Several entries={data} />)}
      </Loaded>
    </Section>
  );
}

function NoEvolution() {
  return (
    <Empty title="Nothing is compared yet.">
      The version is compared with those before it when a rollout to it begins, or a dry run.
    </Empty>
  );
}

function Several({ entries }: { entries: readonly EvolutionEntry[] }) {
  const { from } = useSearch({ from: '/shell/base-model-versions/$versionId' });
  const shown = chosenOf(entries, from)!;
  return (
    <>
      {entries.length > 1 && <EvolutionTabs entries={entries} shown={shown.id} />}
      <One key={shown.id} entry={shown} />
    </>
  );
}

interface EvolutionTabsProps {
  readonly entries: readonly EvolutionEntry[];
  /** Identifier of the evolution that is shown at present. */
  readonly shown: string;
}

/** Tabs with the older versions and the drift of the weights since each. */
function EvolutionTabs({ entries, shown }: EvolutionTabsProps) {
  return (
    <TabNav.Root aria-label="Versions that it is compared with" className="scrolls">
      {entries.map(({ id, old_version: version, drift }) => (
        <TabNav.Link key={id} asChild active={id === shown}>
          <Link to="." search={{ from: version }} replace>
            From {version}
            {drift !== null && ` (${percent(drift)})`}
          </Link>
        </TabNav.Link>
      ))}
    </TabNav.Root>
  );
}

function One({ entry }: { entry: EvolutionEntry }) {
  const query = useQuery(evolutionQuery(entry));
  return (
    <Loaded query={query} what="the evolution" height={400}>
      {(evolution) => <Shown evolution={evolution} />}
    </Loaded>
  );
}

function Shown({ evolution }: { evolution: Evolution }) {
  const { old_base_model_version_id: oldId, old_version: old, state, advice } = evolution;
  return (
    <>
      <Text as="p" size="2">
        From{' '}
        <Link to="/base-model-versions/$versionId" params={{ versionId: oldId }} className="plain-link">
          version {old}
        </Link>{' '}
        to version {evolution.new_version} <StateBadge state={state} size="1" />
      </Text>
      {advice !== null && (
        <Callout.Root color={advice.verdict === 'incompatible' ? 'red' : 'blue'} variant="surface" highContrast>
          <Callout.Text weight="bold">{ADVICE[advice.verdict]}</Callout.Text>
          <ul className="reasons">
            {advice.reasons.map(({ code, message }) => (
              <li key={code}>{message}</li>
            ))}
          </ul>
        </Callout.Root>
      )}
      <Facts
        facts={{
          'Drift of what adapters change': changeOf(evolution.drift),
          'Drift of all weights': changeOf(evolution.overall_drift),
          'Rank that is kept': evolution.rank,
          'Time of the comparison': evolution.compute_ms === null ? null : duration(evolution.compute_ms),
        }}
      />
      {evolution.modules.length > 0 && <DriftMap modules={evolution.modules} />}
      {evolution.captured_energy_by_rank.length > 0 && <EnergyCurve points={evolution.captured_energy_by_rank} />}
      <Differences evolution={evolution} />
    </>
  );
}

function changeOf(drift: number | null): string | null {
  return drift === null ? null : `${percent(drift)} of their size`;
}
