import { Flex, Heading, Text } from '@radix-ui/themes';
import { Link } from '@tanstack/react-router';
import { useEffect, type ReactNode } from 'react';
import { AsJson } from './as-json.tsx';

interface PageHeaderProps {
  readonly title: string;
  /** What stands beside the title, such as a state. */
  readonly badge?: ReactNode;
  /** One sentence below the title. */
  readonly description?: ReactNode;
  /** Where the page belongs, for example the rollout of a job. */
  readonly parents?: readonly { readonly label: string; readonly to: string }[];
  /** Paths of the API whose answers the page shows, for whoever wants them as JSON. */
  readonly json: readonly string[];
  /** Buttons. A key that only reads gets none. */
  readonly children?: ReactNode;
}

/** The beginning of a page: its only heading of the first level, and the title of the browser's tab. */
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
