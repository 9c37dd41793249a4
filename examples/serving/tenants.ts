import { FLEET, type DemoAdapter } from '../../cli/demo/fleet.ts';
import { engineName } from '../../src/delivery/serving/engine-name.ts';

/** Adapter of a tenant, with a prompt that the tenant's users send. */
export interface ServedAdapter extends DemoAdapter {
  readonly alias: string;
  readonly prompt: string;
}

/** Prompts from the gate rows of the tasks. */
const PROMPTS: Readonly<Record<string, string>> = {
  'news-topics':
    'News: Denisa Costescu follows up her victory in Indianapolis on Saturday with another win at the ' +
    "Veteran's Day 10K Sunday in Washington.\nTopic:",
  'catalogue-plurals': 'Word: notebook\nPlural:',
  'plural-forms': 'Word: granary\nPlural:',
};

/** One adapter of each of the demo's three tenants. */
export const SERVED: readonly ServedAdapter[] = FLEET.flatMap((entry) => {
  const prompt = PROMPTS[entry.adapter];
  return prompt === undefined ? [] : [{ ...entry, prompt, alias: engineName(entry) }];
});
