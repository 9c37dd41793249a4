import { adapterMaps } from './adapter-maps.ts';
import { dynamoModels, type SourceUri } from './dynamo-models.ts';
import { routeByBase, routesByAdapter, type Routing } from './http-routes.ts';
import type { Common, Manifest } from './manifest.ts';
import { rewritesOf, type RewriteApi } from './model-rewrites.ts';
import type { Pool } from './pools.ts';

/** Settings of an export, which differ by the system that it is for: Gateway API, llm-d or Dynamo. */
export type ExportPlan =
  | (Routing & { readonly format: 'gateway-api'; readonly rewrites: boolean; readonly modelHeader: string })
  | (Routing & { readonly format: 'llm-d'; readonly rewrites: boolean; readonly configMaps: number })
  | (Common & { readonly format: 'dynamo'; readonly sourceUri: SourceUri });

/** File of an export: all manifests of one kind of object. */
export interface ExportFile {
  readonly name: ExportFileName;
  readonly manifests: readonly Manifest[];
}

/**
 * File names, in the order in which `kubectl apply -f FOLDER` applies them: a pool learns an alias before requests for
 * it arrive.
 */
export const FILE_NAMES = [
  '1-dynamomodels.yaml',
  '1-inferencemodelrewrites.yaml',
  '2-configmaps.yaml',
  '3-httproutes.yaml',
] as const;
export type ExportFileName = (typeof FILE_NAMES)[number];

/**
 * Builds the files, in the order in which they are applied. Equal versions give equal files.
 * @throws UsageError if an object would be too large
 */
export function exportFiles(plan: ExportPlan, pools: readonly Pool[]): ExportFile[] {
  switch (plan.format) {
    case 'gateway-api':
      return [
        ...rewrites(plan, pools, 'inference.networking.x-k8s.io/v1alpha2'),
        { name: '3-httproutes.yaml', manifests: routesByAdapter(plan, pools, plan.modelHeader) },
      ];
    case 'llm-d':
      return [
        ...rewrites(plan, pools, 'llm-d.ai/v1alpha2'),
        { name: '2-configmaps.yaml', manifests: adapterMaps(plan, pools, plan.configMaps) },
        { name: '3-httproutes.yaml', manifests: [routeByBase(plan, pools)] },
      ];
    case 'dynamo':
      return [{ name: '1-dynamomodels.yaml', manifests: dynamoModels(plan, pools, plan.sourceUri) }];
  }
}

function rewrites(
  plan: Common & { readonly rewrites: boolean },
  pools: readonly Pool[],
  apiVersion: RewriteApi,
): ExportFile[] {
  if (!plan.rewrites) return [];
  return [
    { name: '1-inferencemodelrewrites.yaml', manifests: pools.flatMap((pool) => rewritesOf(plan, pool, apiVersion)) },
  ];
}
