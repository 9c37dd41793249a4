import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { AddressPolicy } from './address-policy.ts';

/** Finds the addresses of a host name. @throws Error if it has none, or if no name server answers */
export type Resolve = (name: string, signal: AbortSignal) => Promise<readonly string[]>;

/** Destination of a request, with a checked address, to which the connection is made without another DNS lookup. */
export interface RequestTarget {
  readonly url: URL;
  readonly address: string;
}

/** Largest number of characters of a URL that requests are sent to. */
export const MAX_URL = 2048;

/**
 * Smallest port from which on all ports are generally allowed. Of the smaller ports, only 80 and 443 are allowed,
 * because the others belong to services that do not speak HTTP and might be tricked by a request.
 */
const FIRST_FREE_PORT = 1024;

/**
 * Finds the problem with a URL without looking up its host name; null if there is none. The users who give URLs read
 * the result, so it reveals nothing about the network.
 */
export function urlProblem(text: string, policy: AddressPolicy, setting: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) return 'expected an absolute URL with https';
  if (url.username !== '' || url.password !== '') return 'expected a URL without a user and password';
  if (url.hash !== '') return 'expected a URL without a fragment';
  const host = hostOf(url);
  const judged = isIP(host) === 0 ? null : policy.judge(host);
  if (isIP(host) !== 0 && judged === null) {
    return `its address is not public: the operator may allow its range in ${setting}`;
  }
  if (judged === 'listed') return null;
  if (url.port !== '' && Number(url.port) < FIRST_FREE_PORT && !['80', '443'].includes(url.port)) {
    return 'its port is below 1024, where only 80 and 443 are allowed';
  }
  // A host name may resolve to a range in which plain HTTP is allowed.
  if (url.protocol === 'http:' && judged === 'public') {
    return `plain http is only allowed for addresses in ${setting}: expected https`;
  }
  return null;
}

/**
 * Resolves the host once and picks an address that the policy allows; null if there is none. The caller connects to
 * exactly this address, so a host name that changes its address in between gains nothing.
 */
export async function findRequestTarget(
  url: URL,
  { policy, resolve, signal }: { policy: AddressPolicy; resolve: Resolve; signal: AbortSignal },
): Promise<RequestTarget | null> {
  const host = hostOf(url);
  const addresses = isIP(host) !== 0 ? [host] : await resolve(host, signal).catch(() => []);
  const address = addresses.find((one) => {
    const judged = policy.judge(one);
    return judged === 'listed' || (judged === 'public' && url.protocol === 'https:');
  });
  return address === undefined ? null : { url, address };
}

/** Reads the host from a URL, without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

/**
 * Resolves a host name by the machine's name servers. Unlike `dns.lookup`, this uses no thread of the process, so name
 * servers that do not answer block nothing else. Entries of /etc/hosts are not read.
 */
export const resolveByDns: Resolve = async (name, signal) => {
  const resolver = new Resolver({ timeout: 3000, tries: 2 });
  const cancel = (): void => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    return found.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  } finally {
    signal.removeEventListener('abort', cancel);
  }
};
