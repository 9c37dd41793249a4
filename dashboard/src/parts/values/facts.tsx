import { Code, DataList, Flex } from '@radix-ui/themes';
import { Fragment, type ReactNode } from 'react';
import { CopyButton } from './copy-button.tsx';

/** List of names and values. Entries whose value is null or undefined are left out. */
export function Facts({ facts }: { facts: Readonly<Record<string, ReactNode>> }) {
  const known = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined);
  return (
    <DataList.Root size="2" orientation={{ initial: 'vertical', sm: 'horizontal' }}>
      {known.map(([name, value]) => (
        <DataList.Item key={name}>
          <DataList.Label>{name}</DataList.Label>
          <DataList.Value className="any-text">{value}</DataList.Value>
        </DataList.Item>
      ))}
    </DataList.Root>
  );
}

/** Shows an identifier, a digest or a path with a button that copies it. */
export function Identifier({ value, what = 'the identifier' }: { value: string; what?: string }) {
  return (
    <Flex align="center" gap="2" minWidth="0" asChild>
      <span>
        <Code variant="ghost" className="any-text">
          {value}
        </Code>
        <CopyButton text={value} what={what} />
      </span>
    </Flex>
  );
}

/** Shows several values in a line, separated by commas. */
export function Listed({ values }: { values: readonly ReactNode[] }) {
  return (
    <span>
      {values.map((value, index) => (
        <Fragment key={index}>
          {index > 0 && ', '}
          {value}
        </Fragment>
      ))}
    </span>
  );
}
