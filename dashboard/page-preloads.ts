import path from 'node:path';
import type { Plugin, Rollup } from 'vite';

/** The files of one page besides those that every page needs. */
interface PagePreloads {
  readonly modules: string[];
  readonly styles: string[];
  /** What the page loads by itself a little later, such as the library of its charts. */
  readonly later: string[];
}

const PAGE = /\/src\/pages\/[^/]+\/([^/]+)-page\.tsx$/;

/**
 * Writes `pages.json`, which says of each page what it will load. The service names these files in the HTML of the page, so that the browser
 * asks for them at once, not after it has run the scripts before them.
 */
export function pagePreloads(): Plugin {
  return {
    name: 'page-preloads',
    apply: 'build',
    generateBundle(_options, bundle) {
      const chunks = Object.values(bundle).filter((each) => each.type === 'chunk');
      const entry = chunks.find(({ isEntry }) => isEntry);
      if (entry === undefined) throw new Error('the build has no entry, expected src/main.tsx');
      const first = new Set(withImports([entry], chunks));
      const pages = chunks.flatMap((chunk) => {
        const [, name] = PAGE.exec(chunk.facadeModuleId ?? '') ?? [];
        if (name === undefined) return [];
        const own = withImports([chunk], chunks).filter((each) => !first.has(each));
        const dynamic = dynamicOf(chunk.facadeModuleId!, this);
        const later = withImports(
          chunks.filter(({ facadeModuleId: id }) => id !== null && dynamic.has(id)),
          chunks,
        ).filter((each) => !first.has(each) && !own.includes(each));
        return [[name, preloadsOf(own, later)] as const];
      });
      const source = JSON.stringify(Object.fromEntries(pages.sort(([a], [b]) => a.localeCompare(b))), null, 2);
      this.emitFile({ type: 'asset', fileName: 'pages.json', source });
    },
  };
}

function preloadsOf(own: readonly Rollup.OutputChunk[], later: readonly Rollup.OutputChunk[]): PagePreloads {
  const styles = own.flatMap(({ viteMetadata: metadata }) => [...(metadata?.importedCss ?? [])]);
  return { modules: own.map(({ fileName }) => fileName), styles, later: later.map(({ fileName }) => fileName) };
}

/** The chunks and all that they import statically, each once. */
function withImports(begin: readonly Rollup.OutputChunk[], all: readonly Rollup.OutputChunk[]): Rollup.OutputChunk[] {
  const found = new Set(begin);
  // A set is walked in the order of insertion, with what is added meanwhile.
  for (const chunk of found) for (const each of all) if (chunk.imports.includes(each.fileName)) found.add(each);
  return [...found];
}

/** What the page's modules import dynamically, by their paths. */
function dynamicOf(page: string, modules: Rollup.PluginContext): Set<string> {
  const seen = new Set([page]);
  const dynamic = new Set<string>();
  for (const id of seen) {
    const info = modules.getModuleInfo(id);
    for (const each of info?.importedIds ?? []) seen.add(each);
    for (const each of info?.dynamicallyImportedIds ?? []) if (!PAGE.test(path.normalize(each))) dynamic.add(each);
  }
  return dynamic;
}
