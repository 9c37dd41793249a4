/** What an adapter folder holds, after all of it was checked against its base. */
export interface InspectedAdapter {
  rank: number;
  /** `lora_alpha` of adapter_config.json. */
  loraAlpha: number;
  /** Names of the adapted modules, for example `q_proj`. */
  targets: string[];
  /** Number of trainable parameters. */
  parameters: number;
}

/**
 * Checks an adapter folder against the folder of its base model version. The entry points provide one that is made from
 * the formats' loaders. It rejects with an error that has `code`, `file`, `subject` and `message`.
 */
export interface AdapterInspector {
  inspectAdapter(dir: string, baseDir: string): Promise<InspectedAdapter>;
}
