/** What an adapter folder holds, once it has been read in full against its base. */
export interface InspectedAdapter {
  rank: number;
  /** `lora_alpha` of adapter_config.json. */
  loraAlpha: number;
  /** Names of the adapted modules, such as `q_proj`. */
  targets: string[];
  /** Trainable parameters. */
  parameters: number;
}

/**
 * Reads an adapter folder strictly against the base model version it was trained on. The entry points give the app one
 * made from the file formats' own loaders. Rejects with an error that has `code`, `file`, `subject` and `message`.
 */
export interface AdapterInspector {
  inspectAdapter(dir: string, baseDir: string): Promise<InspectedAdapter>;
}
