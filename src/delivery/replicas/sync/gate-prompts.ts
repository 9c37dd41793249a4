import { isChat, questionMessages, type DatasetRow } from '../../../../core/formats/dataset/dataset-row.ts';
import { parseDataset } from '../../../../core/formats/dataset/dataset-jsonl.ts';
import type { ArtifactStore } from '../../../platform/artifacts/index.ts';

/**
 * Prompt that shows whether an engine uses an adapter which has no dataset: an adapter changes the continuation of any
 * text.
 */
const ANY_PROMPT = 'The';
const MOST_PROMPTS = 3;
/** Largest number of characters of a prompt, so that it fits any model. */
const MOST_CHARACTERS = 400;
/** Largest number of bytes of a dataset that are read in search of gate rows. */
const MOST_BYTES = 4 * 1024 * 1024;

/**
 * Reads the prompts of an adapter's first gate rows, which show whether an engine uses the adapter. They are sent only
 * to the operator's engine.
 */
export async function gatePrompts(artifacts: ArtifactStore, digest: string | null): Promise<readonly string[]> {
  if (digest === null) return [ANY_PROMPT];
  const prompts: string[] = [];
  try {
    for await (const row of parseDataset(start(await artifacts.createReadStream(digest)))) {
      if (row.split === 'gate') prompts.push(promptOf(row).slice(0, MOST_CHARACTERS));
      if (prompts.length === MOST_PROMPTS) break;
    }
  } catch {
    // The last line may be cut off, or the rows may be gone. Use the rows found so far, or else any prompt.
  }
  return prompts.length === 0 ? [ANY_PROMPT] : prompts;
}

async function* start(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of chunks) {
    yield chunk;
    bytes += chunk.length;
    if (bytes >= MOST_BYTES) return;
  }
}

function promptOf(row: DatasetRow): string {
  if (!isChat(row)) return row.prompt;
  return questionMessages(row)
    .map(({ content }) => content ?? '')
    .join('\n');
}
