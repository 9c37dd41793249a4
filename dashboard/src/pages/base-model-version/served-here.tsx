import { Flex, Text } from '@radix-ui/themes';
import type { AtRisk, BaseModelVersion } from '@readapt/client';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useViewer } from '../../api/viewer.ts';
import { counted, percent } from '../../lib/format.ts';
import { Loaded } from '../../parts/feedback/loaded.tsx';
import { Section } from '../../parts/layout/section.tsx';
import { TenantName } from '../../parts/values/tenant-name.tsx';
import { fleetQuery } from '../fleet/fleet-queries.ts';
import { atRiskQuery } from './base-model-version-queries.ts';
import { RetirementButton } from './retirement-button.tsx';

/** Largest number of tenants that are listed by name because they lose adapters when the version retires. */
const TENANTS = 10;

/** Adapters served on the base model version, and those that are left without a version when it retires. */
export function ServedHere({ version }: { version: BaseModelVersion }) {
  const { isOperator, operates } = useViewer();
  const { id, base_model_id: model, retires_at: retiresAt } = version;
  const query = useQuery(fleetQuery(model));
  return (
    <Flex mt="5" direction="column">
      <Section title="Who is served here" aside={operates && <RetirementButton version={version} />}>
        <Loaded query={query} what="who is served here" height={40}>
          {({ adapters, versions }) => {
            const own = versions.find((each) => each.base_model_version_id === id);
            const current = own?.current ?? 0;
            return (
              <Text as="p" size="2">
                <Link to="/adapters" search={{ on: id }} className="plain-link">
                  {counted(current, 'adapter')}
                </Link>{' '}
                of {adapters} can be served here ({percent(adapters === 0 ? 0 : current / adapters)})
                {own !== undefined && own.provisional > 0 && `, ${own.provisional} of them by a provisional version`}
                {current < adapters && <Others versionId={id} count={adapters - current} />}.
              </Text>
            );
          }}
        </Loaded>
        {isOperator && <Risk id={id} retiresAt={retiresAt} />}
      </Section>
    </Flex>
  );
}

function Others({ versionId, count }: { versionId: string; count: number }) {
  return (
    <>
      ;{' '}
      <Link to="/adapters" search={{ notOn: versionId }} className="plain-link">
        {counted(count, 'adapter')} cannot
      </Link>
    </>
  );
}

function Risk({ id, retiresAt }: { id: string; retiresAt: string | null }) {
  const query = useQuery(atRiskQuery(id, retiresAt));
  return (
    <Loaded query={query} what="what is at risk" height={40}>
      {(risk) => <AtRiskHere risk={risk} />}
    </Loaded>
  );
}

function AtRiskHere({ risk }: { risk: AtRisk }) {
  const { base_model_version_id: id, adapters, tenants, tenant_count: all } = risk;
  if (adapters === 0) {
    return (
      <Text as="p" size="2">
        Nothing would be left without a version if it retired: all of them can be served on one that is served for
        longer.
      </Text>
    );
  }
  return (
    <div>
      <Text as="p" size="2">
        <Link to="/adapters" search={{ atRiskOn: id }} className="plain-link">
          {counted(adapters, 'adapter')} of {counted(all, 'tenant')}
        </Link>{' '}
        would be left without a version that is served for longer if it retired. A rollout to a newer version carries
        them over.
      </Text>
      <ul className="plain-list">
        {tenants.slice(0, TENANTS).map(({ tenant_id: tenant, adapters: count }) => (
          <li key={tenant}>
            <Text size="2">
              <TenantName id={tenant} />: {counted(count, 'adapter')}
            </Text>
          </li>
        ))}
      </ul>
      {all > TENANTS && (
        <Text as="p" size="2" color="gray">
          and {counted(all - TENANTS, 'more tenant')}
        </Text>
      )}
    </div>
  );
}
