import path from 'node:path';
import type { Plugin, Rollup } from 'vite';

/** Files of one page, without those that every page loads. */
interface PagePreloads {
  readonly modules: string[];
  readonly styles: string[];
  /** Modules that the page imports dynamically after it has started, such as the chart library. */
  readonly later: string[];
}

const PAGE = /\/src\/pages\/[^/]+\/([^/]+)-page\.tsx$/;

/**
 * Vite plugin that writes `pages.json`, the list of files per page. The service puts them into the page's HTML as
 * preloads, so that the browser requests them immediately instead of discovering them one script after another.
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

/** Chunks together with all their static imports, each once. */
function withImports(begin: readonly Rollup.OutputChunk[], all: readonly Rollup.OutputChunk[]): Rollup.OutputChunk[] {
  const found = new Set(begin);
  // Iteration over a set includes elements that are added during the loop.
  for (const chunk of found) for (const each of all) if (chunk.imports.includes(each.fileName)) found.add(each);
  return [...found];
}

/** Paths of the modules that the page imports dynamically, directly or through its static imports. */
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
