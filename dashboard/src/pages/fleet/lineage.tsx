import { Button, Card, Flex, Heading, Text } from '@radix-ui/themes';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import type { Fleet, FleetVersion } from '@readapt/client';
import { useState } from 'react';
import { counted, percent } from '../../lib/format.ts';
import { Loaded } from '../../parts/feedback/loaded.tsx';
import { fleetQuery } from './fleet-queries.ts';
import { Retirement } from './retirement.tsx';

/**
 * Number of a base model's versions that are shown at first. Older ones serve little of a fleet that is kept up to
 * date.
 */
const SHOWN = 6;

/** Versions of one base model, newest first, with each version's share of the fleet. */
export function Lineage({ id, name }: { id: string; name: string }) {
  const query = useQuery(fleetQuery(id));
  return (
    <Card size="2">
      <Heading as="h3" size="3" className="any-text">
        {name}
      </Heading>
      <Loaded query={query} what={`the fleet of ${name}`}>
        {(fleet) => <Versions fleet={fleet} />}
      </Loaded>
    </Card>
  );
}

function Versions({ fleet }: { fleet: Fleet }) {
  const [all, setAll] = useState(false);
  const { adapters, unserved, versions } = fleet;
  const shown = all ? versions : versions.slice(0, SHOWN);
  return (
    <>
      <Text as="p" size="2" color="gray">
        {counted(adapters, 'adapter')}
        {unserved > 0 && `, ${counted(unserved, 'of them', 'of them')} served on no version yet`}
      </Text>
      {versions.length === 0 && (
        <Text as="p" size="2">
          No version is registered yet.
        </Text>
      )}
      <ol className="lineage" aria-label={`Versions of ${fleet.base_model_name}, the newest first`}>
        {shown.map((version) => (
          <Version key={version.base_model_version_id} version={version} adapters={adapters} />
        ))}
      </ol>
      {shown.length < versions.length && (
        <Button variant="soft" size="1" onClick={() => setAll(true)}>
          Show {counted(versions.length - shown.length, 'older version')}
        </Button>
      )}
    </>
  );
}

function Version({ version, adapters }: { version: FleetVersion; adapters: number }) {
  const { base_model_version_id: id, current, newest, provisional, retires_at: retiresAt } = version;
  const share = adapters === 0 ? 0 : newest / adapters;
  return (
    <li>
      <Flex align="baseline" justify="between" gap="3" wrap="wrap">
        <Flex align="baseline" gap="3" wrap="wrap">
          <Link to="/base-model-versions/$versionId" params={{ versionId: id }} className="plain-link">
            Version {version.version}
          </Link>
          {retiresAt !== null && <Retirement versionId={id} retiresAt={retiresAt} served={current} />}
        </Flex>
        <Text size="2" className="figures">
          {counted(newest, 'adapter')} on it ({percent(share)})
        </Text>
      </Flex>
      <div className="share" aria-hidden>
        <span style={{ width: `${share * 100}%` }} />
      </div>
      <Text size="1" color="gray">
        {counted(current, 'adapter')} can be served here
        {provisional > 0 && `, ${provisional} of them by a provisional version`}
      </Text>
    </li>
  );
}
