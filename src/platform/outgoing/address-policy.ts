import ipaddr from 'ipaddr.js';

/**
 * Addresses outside the private ranges that are nevertheless internal: the platform of Azure virtual machines, which
 * has no range of its own.
 */
const INTERNAL: ReadonlySet<string> = new Set(['168.63.129.16']);
/** Range of all IPv6 addresses that are routed on the Internet. */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3') as [ipaddr.IPv6, number];

/** Policy for the addresses to which the service sends requests on behalf of others. */
export interface AddressPolicy {
  /**
   * Decides whether requests may be sent to an address.
   * @param address an IPv4 or IPv6 address
   * @returns `listed` if the operator has allowed its range, `public` if it is reachable from the Internet, null if
   * nothing may be sent there
   */
  judge(address: string): 'listed' | 'public' | null;
}

/**
 * Creates the policy that decides to which addresses requests may be sent.
 * @param ranges ranges in CIDR notation that the operator allows besides public addresses
 */
export function createAddressPolicy(ranges: readonly string[]): AddressPolicy {
  const listed = ranges.map((range) => ipaddr.parseCIDR(range));
  return {
    judge(text) {
      if (!ipaddr.isValid(text)) return null;
      const given = ipaddr.parse(text);
      // An IPv4 address may be written as an IPv6 address.
      const address = given instanceof ipaddr.IPv6 && given.isIPv4MappedAddress() ? given.toIPv4Address() : given;
      const isListed = listed.some(([range, bits]) => range.kind() === address.kind() && address.match(range, bits));
      if (isListed) return 'listed';
      if (address.range() !== 'unicast' || INTERNAL.has(address.toString())) return null;
      return address instanceof ipaddr.IPv6 && !address.match(GLOBAL_UNICAST) ? null : 'public';
    },
  };
}
