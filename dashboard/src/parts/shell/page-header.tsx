import { Flex, Heading, Text } from '@radix-ui/themes';
import { Link } from '@tanstack/react-router';
import { useEffect, type ReactNode } from 'react';
import { AsJson } from './as-json.tsx';

interface PageHeaderProps {
  readonly title: string;
  /** Content beside the page's title, such as a badge with a state. */
  readonly badge?: ReactNode;
  readonly description?: ReactNode;
  /** Links to the pages above this one, for example from a job to its rollout. */
  readonly parents?: readonly { readonly label: string; readonly to: string }[];
  /** API paths whose answers the dialog "As JSON" shows, because the page shows the same data. */
  readonly json: readonly string[];
  /** Buttons for the page's actions. Leave them out for a read-only key. */
  readonly children?: ReactNode;
}

/** Header of a page. It renders the page's only `h1` and sets the title of the browser's tab. */
export function PageHeader({ title, badge, description, parents = [], json, children }: PageHeaderProps) {
  useEffect(() => {
    document.title = `${title} · Readapt`;
  }, [title]);
  return (
    <Flex direction="column" gap="2" mb="5">
      {parents.length > 0 && <Parents parents={parents} />}
      <Flex align="center" justify="between" gap="3" wrap="wrap">
        <Flex align="center" gap="3" wrap="wrap" minWidth="0">
          <Heading as="h1" size="6" className="any-text">
            {title}
          </Heading>
          {badge}
        </Flex>
        <Flex align="center" gap="2" wrap="wrap">
          {children}
          <AsJson paths={json} />
        </Flex>
      </Flex>
      {description !== undefined && (
        <Text as="div" color="gray" className="any-text">
          {description}
        </Text>
      )}
    </Flex>
  );
}

function Parents({ parents }: Required<Pick<PageHeaderProps, 'parents'>>) {
  return (
    <nav aria-label="Where this page belongs">
      <ol className="parents">
        {parents.map(({ label, to }) => (
          <li key={to}>
            <Link to={to} className="plain-link">
              {label}
            </Link>
          </li>
        ))}
      </ol>
    </nav>
  );
}
