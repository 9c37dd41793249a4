import { Text } from '@radix-ui/themes';
import type { Evolution, EvolutionDifference, EvolutionPart } from '@readapt/client';
import { counted, percent } from '../../lib/format.ts';
import { Section } from '../../parts/layout/section.tsx';
import { PlainTable } from '../../parts/table/plain-table.tsx';
import { Facts } from '../../parts/values/facts.tsx';

/** Changes outside the modules that adapters can adapt: configuration, other weights and tokenizer. */
export function Differences({ evolution }: { evolution: Evolution }) {
  const { differences, changed_settings: settings, unadaptable_parts: parts, tokenizer } = evolution;
  return (
    <>
      {differences.length > 0 && (
        <Section title="What makes the versions incompatible">
          <Fields of={differences} label="What makes the versions incompatible" />
        </Section>
      )}
      {parts.length > 0 && (
        <Section title="What no adapter changes">
          <Text as="p" size="2">
            Their change stays, whatever an adapter does.
          </Text>
          <Parts parts={parts} />
        </Section>
      )}
      {settings.length > 0 && (
        <Section title="Changed settings">
          <Fields of={settings} label="Changed settings" />
        </Section>
      )}
      {tokenizer !== null && (
        <Section title="Tokenizer">
          <Tokenizer changes={tokenizer} />
        </Section>
      )}
    </>
  );
}

function Parts({ parts }: { parts: readonly EvolutionPart[] }) {
  return (
    <PlainTable label="What no adapter changes" columns={['Part', 'Drift']}>
      {parts.map(({ name, drift }) => (
        <tr key={name}>
          <td className="any-text">{name}</td>
          <td className="end">{percent(drift)}</td>
        </tr>
      ))}
    </PlainTable>
  );
}

function Fields({ of, label }: { of: readonly EvolutionDifference[]; label: string }) {
  return (
    <PlainTable label={label} columns={['Setting', 'Old', 'New']}>
      {of.map((each) => (
        <tr key={each.field}>
          <td className="any-text">{each.field}</td>
          <td className="any-text">{each.old}</td>
          <td className="any-text">{each.new}</td>
        </tr>
      ))}
    </PlainTable>
  );
}

function Tokenizer({ changes }: { changes: NonNullable<Evolution['tokenizer']> }) {
  const { vocabulary_added: added, vocabulary_removed: removed, vocabulary_moved: moved } = changes;
  const merges = changes.merges_added + changes.merges_removed;
  return (
    <Facts
      facts={{
        Vocabulary:
          added + removed + moved === 0
            ? 'unchanged'
            : `${added} added, ${removed} removed, ${moved} with another number`,
        'Special tokens': changes.added_tokens === 0 ? 'unchanged' : counted(changes.added_tokens, 'change'),
        Merges:
          merges === 0 && !changes.merges_reordered
            ? 'unchanged'
            : `${merges} added or removed${changes.merges_reordered ? ', in another order' : ''}`,
        Encoding: listed(changes.encoding),
        Decoding: listed(changes.decoding),
        Roles: listed(changes.roles),
        'Chat template': changes.chat_template === 'same' ? 'unchanged' : changes.chat_template,
      }}
    />
  );
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'unchanged' : names.join(', ');
}
