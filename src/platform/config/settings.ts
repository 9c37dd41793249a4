import { COMPUTE } from './settings/compute.ts';
import { DELIVERY } from './settings/delivery.ts';
import { LIMITS, QUOTAS } from './settings/limits.ts';
import { RETENTION } from './settings/retention.ts';
import { SERVICE } from './settings/service.ts';
import type { Setting } from './settings/setting.ts';
import { SOURCES } from './settings/sources.ts';
import { STORAGE } from './settings/storage.ts';

/** All settings except the quotas, by their names in the configuration. */
export const SETTINGS = {
  ...SERVICE,
  ...STORAGE,
  ...SOURCES,
  ...LIMITS,
  ...RETENTION,
  ...DELIVERY,
  ...COMPUTE,
};

/** All settings under the headings of docs/settings.md and of `readapt serve --help`. */
export const SETTING_GROUPS: Readonly<Record<string, readonly Setting[]>> = {
  Service: Object.values(SERVICE),
  'Artifact store': Object.values(STORAGE),
  'Base models and sources': Object.values(SOURCES),
  Limits: Object.values(LIMITS),
  'Default quotas of each tenant': Object.values(QUOTAS),
  Retention: Object.values(RETENTION),
  'Serving, webhooks and secrets': Object.values(DELIVERY),
  Computing: Object.values(COMPUTE),
};

/** The environment variables of all settings. */
export const SETTING_VARIABLES: readonly string[] = Object.values(SETTING_GROUPS)
  .flat()
  .map(({ variable }) => variable);
