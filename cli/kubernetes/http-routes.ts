import { metadataOf, type Common, type Manifest } from './manifest.ts';
import { partName } from './object-names.ts';
import { movedTo, type Pool } from './pools.ts';
import { splitByHash } from './split-by-hash.ts';

/** Gateway that routes are attached to, and the hostnames that they apply to. */
export interface Routing extends Common {
  readonly gateway: string;
  readonly gatewayNamespace?: string;
  readonly hostnames: readonly string[];
}

/**
 * Largest number of matches in one rule of an HTTPRoute. {@link MATCHES_OF_ROUTE} is the largest number in the whole
 * route.
 */
const MATCHES_OF_RULE = 64;
const MATCHES_OF_ROUTE = 128;

/** Header in which payload processors name the base of the requested adapter. */
const BASE_MODEL_HEADER = 'X-Gateway-Base-Model-Name';

/** Builds one route that sends a request for a pool's base to that pool, and all other requests to the first pool. */
export function routeByBase(routing: Routing, pools: readonly Pool[]): Manifest {
  const rules = pools
    .slice(1)
    .map(({ name, servingName }) => ruleFor(name, [headerMatch(BASE_MODEL_HEADER, servingName)]));
  return routeOf(routing, routing.name, [...rules, remainder(pools)]);
}

/** Builds a catch-all route to the first pool, and more specific routes for the adapters that another pool serves. */
export function routesByAdapter(routing: Routing, pools: readonly Pool[], header: string): Manifest[] {
  const moved = movedTo(pools).flatMap(({ pool, moved: versions }) =>
    splitByHash(
      versions.map(({ alias }) => alias),
      { keyOf: (alias) => alias, fits: ({ length }) => length <= MATCHES_OF_ROUTE },
    )
      .filter(({ items }) => items.length > 0)
      .map(({ prefix, items }) => {
        const rules = chunks(items, MATCHES_OF_RULE).map((aliases) =>
          ruleFor(
            pool.name,
            aliases.map((alias) => headerMatch(header, alias)),
          ),
        );
        return routeOf(routing, partName(routing.name, pool.name, prefix), rules);
      }),
  );
  return [routeOf(routing, routing.name, [remainder(pools)]), ...moved];
}

/**
 * Builds the rule that sends all remaining requests to the first pool. Rules that match a header take precedence over
 * this rule, wherever it stands in the route.
 */
function remainder([first]: readonly Pool[]) {
  return ruleFor(first!.name, [{ path: { type: 'PathPrefix', value: '/' } }]);
}

function headerMatch(name: string, value: string) {
  return { headers: [{ type: 'Exact', name, value }] };
}

function ruleFor(pool: string, matches: readonly object[]) {
  return { matches, backendRefs: [{ group: 'inference.networking.k8s.io', kind: 'InferencePool', name: pool }] };
}

function routeOf(routing: Routing, name: string, rules: readonly object[]): Manifest {
  const { gateway, gatewayNamespace, hostnames } = routing;
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: metadataOf(routing, name),
    spec: {
      parentRefs: [{ name: gateway, ...(gatewayNamespace !== undefined && { namespace: gatewayNamespace }) }],
      ...(hostnames.length > 0 && { hostnames }),
      rules,
    },
  };
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
