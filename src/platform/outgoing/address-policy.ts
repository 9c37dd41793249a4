import ipaddr from 'ipaddr.js';

/**
 * Public addresses that reach the machine's own surroundings all the same: the platform of Azure virtual machines,
 * which has no range of its own.
 */
const INTERNAL: ReadonlySet<string> = new Set(['168.63.129.16']);
/** All that is routed on the Internet by IPv6. */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3') as [ipaddr.IPv6, number];

/** Decides to which addresses the service sends requests that others have asked for. */
export interface AddressPolicy {
  /**
   * @param address an IPv4 or IPv6 address
   * @returns `listed` if the operator has allowed its range, `public` if everybody can reach it, null if nothing may be
   * sent there
   */
  judge(address: string): 'listed' | 'public' | null;
}

/** @param ranges by CIDR, which the operator allows besides public addresses */
export function createAddressPolicy(ranges: readonly string[]): AddressPolicy {
  const listed = ranges.map((range) => ipaddr.parseCIDR(range));
  return {
    judge(text) {
      if (!ipaddr.isValid(text)) return null;
      const given = ipaddr.parse(text);
      // An IPv4 address may be written as an IPv6 one.
      const address = given instanceof ipaddr.IPv6 && given.isIPv4MappedAddress() ? given.toIPv4Address() : given;
      const isListed = listed.some(([range, bits]) => range.kind() === address.kind() && address.match(range, bits));
      if (isListed) return 'listed';
      if (address.range() !== 'unicast' || INTERNAL.has(address.toString())) return null;
      return address instanceof ipaddr.IPv6 && !address.match(GLOBAL_UNICAST) ? null : 'public';
    },
  };
}
