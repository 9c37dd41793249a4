import { Callout, Flex, Heading, Text } from '@radix-ui/themes';
import type { RolloutForecast } from '@readapt/client';
import { ADVICE } from '../../../lib/advice.ts';
import { counted, percent, sentence } from '../../../lib/format.ts';

type Entry = RolloutForecast['compatibility'][number];

/** List per old base version: whether its adapters can be carried over, the drift of the base, and the advice. */
export function Compatibility({ entries }: { entries: readonly Entry[] }) {
  if (entries.length === 0) return null;
  return (
    <div>
      <Heading as="h3" size="3" mb="1">
        Who breaks, and how far the base moved
      </Heading>
      <Flex direction="column" gap="3">
        {entries.map((entry) => (
          <Pair key={entry.old_base_model_version_id} entry={entry} />
        ))}
      </Flex>
    </div>
  );
}

function Pair({ entry: { adapters, problem, drift, drift_by_projection: byProjection, advice } }: { entry: Entry }) {
  if (problem !== null) {
    const { message, detail, code } = problem;
    return (
      <Callout.Root color="red" size="1" highContrast>
        <Callout.Text>
          <strong>{counted(adapters, 'adapter')} cannot be carried over.</strong> {message}. {detail} (code {code})
        </Callout.Text>
      </Callout.Root>
    );
  }
  return (
    <div>
      <Text as="p" size="2">
        {counted(adapters, 'adapter')} from one version
        {drift !== null && `, from which the weights moved by ${percent(drift)} of their size`}.
      </Text>
      {advice !== null && (
        <Text as="p" size="2" mt="1">
          <strong>{ADVICE[advice.verdict] ?? advice.verdict}.</strong>{' '}
          {advice.reasons.map((reason) => sentence(reason.message)).join(' ')}
        </Text>
      )}
      {byProjection !== null && <Drift drift={byProjection} />}
    </div>
  );
}

function Drift({ drift }: { drift: NonNullable<Entry['drift_by_projection']> }) {
  const rows = Object.entries(drift)
    .flatMap(([name, { drift: value }]) => (value === null ? [] : [{ name, value }]))
    .sort((a, b) => b.value - a.value);
  const most = rows[0]?.value ?? 0;
  return (
    <details className="figures-of-chart">
      <summary>Drift by projection</summary>
      <table className="plain-table">
        <tbody>
          {rows.map(({ name, value }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td className="figures">
                {percent(value)}
                <div className="share" aria-hidden>
                  <span style={{ width: `${most === 0 ? 0 : (100 * value) / most}%` }} />
                </div>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}
