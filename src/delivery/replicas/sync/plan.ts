import type { Listing } from '../engines/engine.ts';
import { parseEngineName } from '../../serving/index.ts';

/** An adapter with the version that a replica should serve. */
export interface DesiredAdapter {
  readonly tenantId: string;
  readonly adapterId: string;
  readonly adapterVersionId: string;
  readonly datasetDigest: string | null;
  /** Engine name that always stands for the adapter's current version. Unlike `name`, it has no version number. */
  readonly alias: string;
  readonly name: string;
}

/** State that the database stores for the engine name of one adapter version on one replica. */
export interface TrackedAdapter {
  readonly name: string;
  readonly adapterId: string | null;
  /** Adapter version to which the name belongs; null if unknown. */
  readonly adapterVersionId: string | null;
  /**
   * Adapter version whose weights were last loaded under the name. It can differ from `adapterVersionId` if an adapter
   * was deleted and a new one got its name. Null until the service has loaded something under the name.
   */
  readonly loadedVersionId: string | null;
  readonly state: string;
  readonly attempts: number;
  /** Delay before the next attempt, in milliseconds. Null, 0 or less means that an attempt may begin now. */
  readonly retryInMs: number | null;
  readonly isChecked: boolean;
  /** Time until the engine is asked to unload the name, in milliseconds; null if the name is to stay. */
  readonly unloadInMs: number | null;
}

export interface PlanInput {
  readonly desired: readonly DesiredAdapter[];
  readonly listing: Listing;
  readonly tracked: readonly TrackedAdapter[];
  readonly pathPrefix: string;
  readonly aliases: boolean;
  /** Whether an adapter counts as serving only after a check that the engine uses it. */
  readonly checks: boolean;
}

/** Steps that make a replica serve one adapter. They are taken in the order of the members. */
export interface AdapterWork {
  readonly adapter: DesiredAdapter;
  readonly path: string;
  /** Names to unload, because the engine has loaded other weights under them than those of the adapter version. */
  readonly unload: readonly string[];
  readonly load: boolean;
  readonly check: boolean;
  /**
   * Step for the alias. `keep` does nothing, `load` loads the adapter under the alias, and `move` first unloads the
   * alias and then loads the adapter under it.
   */
  readonly alias: 'keep' | 'load' | 'move';
  readonly attempts: number;
}

export interface Plan {
  /** Adapters for which the database has no state on this replica yet. */
  readonly added: readonly DesiredAdapter[];
  /** Adapters whose engine name belonged to another adapter version before. */
  readonly renewed: readonly DesiredAdapter[];
  /**
   * Steps for each adapter that does not serve yet, in the order of `desired`. Adapters that wait after a failure are
   * left out.
   */
  readonly work: readonly AdapterWork[];
  /**
   * Names of adapter versions that should no longer be served, or whose successor is already served. They are unloaded
   * after the grace time.
   */
  readonly retire: readonly string[];
  /**
   * Names in this service's format that the engine has loaded, but for which the database has no state. Like retired
   * versions, they are unloaded after the grace time.
   */
  readonly found: readonly string[];
  /** Names that the engine is to unload now. */
  readonly unload: readonly string[];
  /** Names that should not be served and that the engine no longer has, so that their state can be deleted. */
  readonly forget: readonly string[];
  /** Names of versions that were to be unloaded and are current again. */
  readonly revive: readonly string[];
  /** Names that the replica serves, although their state in the database is not yet `loaded`. */
  readonly serving: readonly string[];
  /** Names that have to be loaded again, although their state in the database is `loaded` or `checking`. */
  readonly waiting: readonly string[];
  /**
   * Names that the engine has loaded and that have to be checked, although their state in the database is `loaded` or
   * `waiting`.
   */
  readonly checking: readonly string[];
}

/**
 * Compares what an engine has loaded with what it should serve, and plans the steps between the two. Has no side
 * effects.
 */
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

/** States of an engine name in the database that say that the engine has loaded the name. */
const SEEMS_LOADED = new Set(['loaded', 'checking']);

const nameOf = ({ work }: { readonly work: AdapterWork }): string => work.adapter.name;

/**
 * Whether an engine name belongs to another adapter version than the database says, for example because an adapter was
 * deleted and a new one got its name.
 */
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

/**
 * Whether the engine has loaded the alias of an adapter from the files of another adapter, which had the same name
 * earlier.
 */
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

/**
 * Lists the aliases in this service's format that the engine has loaded, although no version that should be served has
 * them.
 */
function deadAliases({ desired, listing, ...input }: PlanInput): string[] {
  const alive = new Set(input.aliases ? desired.map(({ alias }) => alias) : []);
  return [...listing.adapters.keys()].filter(
    (name) => isOurs(name, { listing, ...input }) && !isVersion(name) && !alive.has(name),
  );
}

/** Whether an engine has loaded a name that has this service's format, from the service's folder of adapters. */
function isOurs(name: string, { listing, pathPrefix }: Pick<PlanInput, 'listing' | 'pathPrefix'>): boolean {
  return (listing.adapters.get(name) ?? '').startsWith(pathOf(pathPrefix, '')) && parseEngineName(name) !== null;
}

function isVersion(name: string): boolean {
  return parseEngineName(name)?.number !== undefined;
}

function namesOf(tracked: readonly TrackedAdapter[]): string[] {
  return tracked.map(({ name }) => name);
}
