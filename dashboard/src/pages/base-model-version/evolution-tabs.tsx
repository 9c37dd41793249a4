import { TabNav } from '@radix-ui/themes';
import type { EvolutionEntry } from '@readapt/client';
import { Link } from '@tanstack/react-router';
import { percent } from '../../lib/format.ts';

interface EvolutionTabsProps {
  readonly entries: readonly EvolutionEntry[];
  /** Identifier of the one that is shown. */
  readonly shown: string;
}

/** The versions from which adapters come, each with how far the weights have moved from it. */
export function EvolutionTabs({ entries, shown }: EvolutionTabsProps) {
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
