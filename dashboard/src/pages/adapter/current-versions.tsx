import { Badge, Flex, Text } from '@radix-ui/themes';
import { ResetIcon } from '@radix-ui/react-icons';
import { setCurrentVersion, type Adapter, type CurrentVersion } from '@readapt/client';
import { client } from '../../api/client.ts';
import { useViewer } from '../../api/viewer.ts';
import { ConfirmButton } from '../../parts/actions/confirm-button.tsx';
import { Empty } from '../../parts/feedback/loaded.tsx';
import { Section } from '../../parts/layout/section.tsx';
import { BaseVersionLink } from '../../parts/values/base-version-link.tsx';
import { Time } from '../../parts/values/time.tsx';
import { DownloadButton } from './download-button.tsx';

/** Table of the version to serve on each base model version, with download and rollback. */
export function CurrentVersions({ adapter }: { adapter: Adapter }) {
  const { current } = adapter;
  return (
    <Section title="What is served where">
      {current.length === 0 ? (
        <Empty title="Nothing of it is served.">A version becomes current when it is imported or published.</Empty>
      ) : (
        <div className="scrolls" tabIndex={0} role="region" aria-label="What is served where">
          <table className="plain-table table-with-buttons">
            <thead>
              <tr>
                <th scope="col">On</th>
                <th scope="col">Current version</th>
                <th scope="col">Since</th>
                <th scope="col">
                  <span className="unseen">What can be done</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {current.map((each) => (
                <Current key={each.base_model_version_id} current={each} adapter={adapter} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  );
}

function Current({ current, adapter }: { current: CurrentVersion; adapter: Adapter }) {
  const { writes } = useViewer();
  const { base_model_version_id: on, number, version_id: versionId, provisional, changed_at: since } = current;
  return (
    <tr>
      <td>
        <BaseVersionLink id={on} />
      </td>
      <td>
        version {number}{' '}
        {provisional && (
          <Badge color="amber" highContrast>
            provisional, not measured
          </Badge>
        )}
      </td>
      <td>
        <Time value={since} />
      </td>
      <td>
        <Flex gap="2" wrap="wrap" justify="end">
          {versionId !== null && <DownloadButton adapter={adapter} versionId={versionId} number={number} />}
          {writes && <RollBack current={current} />}
        </Flex>
      </td>
    </tr>
  );
}

/**
 * Restores the previous version as the current one. The service refuses if the current version has changed meanwhile.
 */
function RollBack({ current }: { current: CurrentVersion }) {
  const { adapter_id: id, base_model_version_id: on, version_id: now, previous_version_id: before, number } = current;
  const run = () =>
    setCurrentVersion({
      client,
      path: { id, base_model_version_id: on },
      body: { version_id: before, expected_version_id: now },
    });
  return (
    <ConfirmButton label="Roll it back" icon={<ResetIcon aria-hidden />} color="red" run={run}>
      {before === null ? (
        <Text as="p">
          Version {number} will not be served on this base any more, and nothing will be in its place: there was none
          before.
        </Text>
      ) : (
        <Text as="p">What was current before version {number} will be served on this base again, at once.</Text>
      )}
      <Text as="p" mt="2">
        One adapter is concerned. Version {number} stays, and can be made current again.
      </Text>
    </ConfirmButton>
  );
}
