import { Text } from '@radix-ui/themes';
import type { BaseModelVersion } from '@readapt/client';
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useViewer } from '../../api/viewer.ts';
import { compact } from '../../lib/format.ts';
import { Loaded } from '../../parts/feedback/loaded.tsx';
import { PageHeader } from '../../parts/shell/page-header.tsx';
import { Facts, Identifier } from '../../parts/values/facts.tsx';
import { StateBadge } from '../../parts/values/state-badge.tsx';
import { Time } from '../../parts/values/time.tsx';
import { versionQuery } from './base-model-version-queries.ts';
import { Evolutions } from './evolutions.tsx';
import { ServedHere } from './served-here.tsx';

/** Page of a base model version: its facts, the adapters served on it, and the changes since earlier versions. */
export default function BaseModelVersionPage() {
  const { versionId: id } = useParams({ from: '/shell/base-model-versions/$versionId' });
  const query = useQuery(versionQuery(id));
  return (
    <Loaded query={query} what="the base model version">
      {(version) => <Shown version={version} />}
    </Loaded>
  );
}

function Shown({ version }: { version: BaseModelVersion }) {
  const { isOperator } = useViewer();
  const { id, base_model_name: name, error, path } = version;
  const own = `/v1/base-model-versions/${id}`;
  return (
    <>
      <PageHeader
        title={`${name}, version ${version.version}`}
        badge={<StateBadge state={version.state} />}
        parents={[{ label: 'Fleet', to: '/' }]}
        json={[own, `${own}/evolutions`, ...(isOperator ? [`${own}/at-risk`] : [])]}
      />
      {error !== null && (
        <Text as="p" color="red" mb="4" className="any-text">
          Its files cannot be used: {error.message}. Mend them and register the version again.
        </Text>
      )}
      <Facts
        facts={{
          Identifier: <Identifier value={id} />,
          Architecture: version.architecture,
          Parameters: version.parameters === null ? null : compact(version.parameters),
          'Name in serving engines': version.serving_name,
          Folder: path === null ? null : <Identifier value={path} what="the path" />,
          Fingerprint:
            version.fingerprint === null ? null : <Identifier value={version.fingerprint} what="the fingerprint" />,
          Registered: <Time value={version.created_at} both />,
          Retires: version.retires_at === null ? 'not decided' : <Time value={version.retires_at} both />,
        }}
      />
      <ServedHere version={version} />
      <Evolutions versionId={id} />
    </>
  );
}
