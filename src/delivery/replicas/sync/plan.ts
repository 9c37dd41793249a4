import type { Listing } from '../engines/engine.ts';
import { parseEngineName } from '../../serving/index.ts';

/** An adapter with the version that a replica should serve. */
export interface DesiredAdapter {
  readonly tenantId: string;
  readonly adapterId: string;
  readonly adapterVersionId: string;
  readonly datasetDigest: string | null;
  /** Name without the number of the version; `name` includes it. */
  readonly alias: string;
  readonly name: string;
}

/** Stored state of a name that a replica has or should have. */
export interface TrackedAdapter {
  readonly name: string;
  readonly adapterId: string | null;
  /** Version to which the name belongs; null if unknown. */
  readonly adapterVersionId: string | null;
  /**
   * Version whose weights were last loaded under the name. It can differ from the name's version if the name was freed
   * and given again. Null until the service has loaded something under it.
   */
  readonly loadedVersionId: string | null;
  readonly state: string;
  readonly attempts: number;
  /** Delay before the next attempt; null, 0 or less if there may be one now. */
  readonly retryInMs: number | null;
  readonly isChecked: boolean;
  /** Time until the name is unloaded; null if it is to stay. */
  readonly unloadInMs: number | null;
}

export interface PlanInput {
  readonly desired: readonly DesiredAdapter[];
  readonly listing: Listing;
  readonly tracked: readonly TrackedAdapter[];
  readonly pathPrefix: string;
  readonly aliases: boolean;
  /** Whether an adapter serves only after a check. */
  readonly checks: boolean;
}

/** Steps for one adapter, in this order. */
export interface AdapterWork {
  readonly adapter: DesiredAdapter;
  readonly path: string;
  /** Names under which the engine has other weights than those of the version. They are unloaded first. */
  readonly unload: readonly string[];
  readonly load: boolean;
  readonly check: boolean;
  /** Step for the alias: nothing, load it, or unload and load it. */
  readonly alias: 'keep' | 'load' | 'move';
  readonly attempts: number;
}

export interface Plan {
  /** Adapters without stored state. */
  readonly added: readonly DesiredAdapter[];
  /** Adapters whose name belonged to another version before. */
  readonly renewed: readonly DesiredAdapter[];
  /** Work in the order of `desired`, without adapters that wait after a failure. */
  readonly work: readonly AdapterWork[];
  /** Versions that were replaced by a serving successor or should no longer be served. They stay for the grace time. */
  readonly retire: readonly string[];
  /**
   * Names in this service's format that the engine has loaded, but that have no stored state. They are retired, too.
   */
  readonly found: readonly string[];
  /** Names to unload now, with their stored state. */
  readonly unload: readonly string[];
  /** Stored names that are no longer loaded and can be deleted. */
  readonly forget: readonly string[];
  /** Retired versions that are current again. */
  readonly revive: readonly string[];
  /** Names that serve, but are stored in another state. */
  readonly serving: readonly string[];
  /** Names that are stored as serving, but have to be loaded again. */
  readonly waiting: readonly string[];
  /** Names that are loaded but unchecked, and are stored in another state. */
  readonly checking: readonly string[];
}

/** Compares a replica with its desired state. Has no side effects. */
export function makePlan(input: PlanInput): Plan {
  const { desired, listing, tracked } = input;
  const kept = new Map(tracked.map((one) => [one.name, one]));
  const works = desired.map((adapter) => workOf(adapter, kept, input));
  const current = new Set(desired.map(({ name }) => name));
  // A version stays until its successor serves: the alias and gateways still lead to it.
  const waiting = new Set(works.filter(({ isDone }) => !isDone).map(({ work }) => work.adapter.adapterId));
  const old = tracked.filter(({ name }) => !current.has(name));
  const isOver = (one: TrackedAdapter): boolean => one.adapterId === null || !waiting.has(one.adapterId);
  return {
    added: desired.filter(({ name }) => !kept.has(name)),
    renewed: desired.filter((adapter) => isRenewed(adapter, kept.get(adapter.name))),
    work: works.filter(({ isDone, isLater }) => !isDone && !isLater).map(({ work }) => work),
    retire: namesOf(old.filter((one) => listing.adapters.has(one.name) && one.unloadInMs === null && isOver(one))),
    found: [...listing.adapters.keys()].filter(
      (name) => isOurs(name, input) && isVersion(name) && !kept.has(name) && !current.has(name),
    ),
    unload: [
      ...namesOf(old.filter((one) => listing.adapters.has(one.name) && (one.unloadInMs ?? 1) <= 0 && isOver(one))),
      ...deadAliases(input),
    ],
    forget: namesOf(old.filter(({ name }) => !listing.adapters.has(name))),
    revive: namesOf(tracked.filter(({ name, unloadInMs }) => current.has(name) && unloadInMs !== null)),
    serving: works.filter(({ state, isDone }) => isDone && state !== 'loaded').map(nameOf),
    waiting: works.filter(({ work, state }) => work.load && SEEMS_LOADED.has(state)).map(nameOf),
    checking: works
      .filter(({ work, state }) => !work.load && work.check && (state === 'loaded' || state === 'waiting'))
      .map(nameOf),
  };
}

/** States in which the engine should have the name. */
const SEEMS_LOADED = new Set(['loaded', 'checking']);

const nameOf = ({ work }: { readonly work: AdapterWork }): string => work.adapter.name;

/** Whether a stored name now belongs to another version, such as one of a new adapter with an old name. */
function isRenewed({ adapterVersionId }: DesiredAdapter, kept: TrackedAdapter | undefined): boolean {
  return kept !== undefined && kept.adapterVersionId !== adapterVersionId;
}

/** Folder of an adapter in the engine's file system. */
export function pathOf(pathPrefix: string, name: string): string {
  return `${pathPrefix.replace(/\/+$/, '')}/${name}`;
}

function workOf(adapter: DesiredAdapter, kept: ReadonlyMap<string, TrackedAdapter>, input: PlanInput) {
  const { name, alias, adapterVersionId } = adapter;
  const path = pathOf(input.pathPrefix, name);
  const [root, aliasRoot] = [name, alias].map((one) => input.listing.adapters.get(one));
  const own = kept.get(name);
  // The path shows the name of the files that were loaded, but not which version they belonged to at that time.
  const isKnown = own?.loadedVersionId === adapterVersionId;
  const isLoaded = root === path && isKnown;
  const isAliasWrong = input.aliases && (aliasRoot === path ? !isKnown : isOfAnother(adapter, aliasRoot, kept, input));
  const work: AdapterWork = {
    adapter,
    path,
    unload: [...(isAliasWrong ? [alias] : []), ...(root !== undefined && !isLoaded ? [name] : [])],
    load: !isLoaded,
    check: input.checks && (!isLoaded || own?.isChecked !== true),
    alias: aliasWork(input.aliases, path, isAliasWrong ? undefined : aliasRoot),
    attempts: own?.attempts ?? 0,
  };
  const isDone = isLoaded && !work.check && work.alias === 'keep';
  const isLater = (own?.retryInMs ?? 0) > 0 && !isRenewed(adapter, own);
  return { work, isDone, isLater, state: own?.state ?? 'waiting' };
}

function aliasWork(hasAliases: boolean, path: string, aliasRoot: string | undefined): AdapterWork['alias'] {
  if (!hasAliases || aliasRoot === path) return 'keep';
  return aliasRoot === undefined ? 'load' : 'move';
}

/** Whether an alias leads to files that are tracked for another adapter, which had the name before. */
function isOfAnother(
  { adapterId }: DesiredAdapter,
  root: string | undefined,
  kept: ReadonlyMap<string, TrackedAdapter>,
  { pathPrefix }: PlanInput,
): boolean {
  if (root === undefined) return false;
  const owner = kept.get(root.slice(pathOf(pathPrefix, '').length))?.adapterId ?? adapterId;
  return root.startsWith(pathOf(pathPrefix, '')) && owner !== adapterId;
}

/** Aliases in this service's format whose adapters have no version to serve. */
function deadAliases({ desired, listing, ...input }: PlanInput): string[] {
  const alive = new Set(input.aliases ? desired.map(({ alias }) => alias) : []);
  return [...listing.adapters.keys()].filter(
    (name) => isOurs(name, { listing, ...input }) && !isVersion(name) && !alive.has(name),
  );
}

/** Whether a name has this service's format and was loaded from its folder of adapters. */
function isOurs(name: string, { listing, pathPrefix }: Pick<PlanInput, 'listing' | 'pathPrefix'>): boolean {
  return (listing.adapters.get(name) ?? '').startsWith(pathOf(pathPrefix, '')) && parseEngineName(name) !== null;
}

function isVersion(name: string): boolean {
  return parseEngineName(name)?.number !== undefined;
}

function namesOf(tracked: readonly TrackedAdapter[]): string[] {
  return tracked.map(({ name }) => name);
}
