import type { Listing } from '../engines/engine.ts';
import { parseEngineName } from '../../serving/index.ts';

/** An adapter in the version that a replica should serve. */
export interface DesiredAdapter {
  readonly tenantId: string;
  readonly adapterId: string;
  readonly adapterVersionId: string;
  readonly datasetDigest: string | null;
  /** The name without and with the number of the version. */
  readonly alias: string;
  readonly name: string;
}

/** What is kept of a name that a replica has or should have. */
export interface TrackedAdapter {
  readonly name: string;
  readonly adapterId: string | null;
  /** The version that the name stands for; null where it is not known. */
  readonly adapterVersionId: string | null;
  /**
   * The version whose weights the service last had loaded under the name. A name that was free again may stand for another one by now.
   * Null until the service has loaded something under it.
   */
  readonly loadedVersionId: string | null;
  readonly state: string;
  readonly attempts: number;
  /** Null if it may be tried now. */
  readonly retryInMs: number | null;
  readonly isChecked: boolean;
  /** How long it stays loaded; null if that has not been decided. */
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

/** What is to be done for one adapter, in this order. */
export interface AdapterWork {
  readonly adapter: DesiredAdapter;
  readonly path: string;
  /** Names that the engine has with other weights than the version's. They are unloaded first. */
  readonly unload: readonly string[];
  readonly load: boolean;
  readonly check: boolean;
  /** What is to be done with the alias: nothing, load it, or unload and load it. */
  readonly alias: 'keep' | 'load' | 'move';
  readonly attempts: number;
}

export interface Plan {
  /** Adapters of which nothing is kept yet. */
  readonly added: readonly DesiredAdapter[];
  /** Adapters whose name stood for another version before. */
  readonly renewed: readonly DesiredAdapter[];
  /** In the order of `desired`. What has failed and is to wait is left out. */
  readonly work: readonly AdapterWork[];
  /** Versions whose successor serves, or that nobody should serve: they stay for the grace time. */
  readonly retire: readonly string[];
  /** Names of ours that nothing is kept of. They are retired, too. */
  readonly found: readonly string[];
  /** Names that are to be unloaded now, with what is kept of them. */
  readonly unload: readonly string[];
  /** What is kept of names that are gone. */
  readonly forget: readonly string[];
  /** Versions that were retired and are current again. */
  readonly revive: readonly string[];
  /** Names that serve, and were noted otherwise. */
  readonly serving: readonly string[];
  /** Names that were noted as serving, and have to be loaded anew. */
  readonly waiting: readonly string[];
  /** Names that are loaded and were not checked, and were noted otherwise. */
  readonly checking: readonly string[];
}

/** Compares what a replica has with what it should have. It does nothing itself. */
export function makePlan(input: PlanInput): Plan {
  const { desired, listing, tracked } = input;
  const kept = new Map(tracked.map((one) => [one.name, one]));
  const works = desired.map((adapter) => workOf(adapter, kept, input));
  const current = new Set(desired.map(({ name }) => name));
  // Until its successor serves, a version is kept: the alias and gateways still lead to it.
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

/** States that say of a name that the engine has it. */
const SEEMS_LOADED = new Set(['loaded', 'checking']);

const nameOf = ({ work }: { readonly work: AdapterWork }): string => work.adapter.name;

/** Whether a name that something is kept of stands for another version by now: its adapter is gone, and the name was given again. */
function isRenewed({ adapterVersionId }: DesiredAdapter, kept: TrackedAdapter | undefined): boolean {
  return kept !== undefined && kept.adapterVersionId !== adapterVersionId;
}

/** The folder of an adapter as the engine sees it. */
export function pathOf(pathPrefix: string, name: string): string {
  return `${pathPrefix.replace(/\/+$/, '')}/${name}`;
}

function workOf(adapter: DesiredAdapter, kept: ReadonlyMap<string, TrackedAdapter>, input: PlanInput) {
  const { name, alias, adapterVersionId } = adapter;
  const path = pathOf(input.pathPrefix, name);
  const [root, aliasRoot] = [name, alias].map((one) => input.listing.adapters.get(one));
  const own = kept.get(name);
  // A path says under which name the files were found, and not which version they were then.
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

/** Whether an alias leads to a version of an adapter that had the same name before. */
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

/** Aliases of ours whose adapter nothing is to be served of. */
function deadAliases({ desired, listing, ...input }: PlanInput): string[] {
  const alive = new Set(input.aliases ? desired.map(({ alias }) => alias) : []);
  return [...listing.adapters.keys()].filter(
    (name) => isOurs(name, { listing, ...input }) && !isVersion(name) && !alive.has(name),
  );
}

/** Whether a name was loaded from the folder of adapters, and is one that this service gives. */
function isOurs(name: string, { listing, pathPrefix }: Pick<PlanInput, 'listing' | 'pathPrefix'>): boolean {
  return (listing.adapters.get(name) ?? '').startsWith(pathOf(pathPrefix, '')) && parseEngineName(name) !== null;
}

function isVersion(name: string): boolean {
  return parseEngineName(name)?.number !== undefined;
}

function namesOf(tracked: readonly TrackedAdapter[]): string[] {
  return tracked.map(({ name }) => name);
}
