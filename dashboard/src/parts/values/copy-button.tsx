import { CheckIcon, CopyIcon } from '@radix-ui/react-icons';
import { IconButton } from '@radix-ui/themes';
import { useEffect, useState } from 'react';

/** Button that copies a text. @param what name of the text for screen readers: `the identifier` */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), 2000);
    return () => clearTimeout(timer);
  }, [copied]);
  // Browsers offer no clipboard to pages loaded over plain HTTP from another machine.
  if (!('clipboard' in navigator)) return null;
  const copy = () => void navigator.clipboard.writeText(text).then(() => setCopied(true));
  return (
    <>
      <IconButton
        size="1"
        variant="ghost"
        color="gray"
        aria-label={`Copy ${what}`}
        title={`Copy ${what}`}
        onClick={copy}
      >
        {copied ? <CheckIcon aria-hidden /> : <CopyIcon aria-hidden />}
      </IconButton>
      <span role="status" className="unseen">
        {copied ? 'Copied' : ''}
      </span>
    </>
  );
}
