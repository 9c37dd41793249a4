/** Number of tokens to generate for an answer. */
const LENGTH = 8;

/** Requests of the example to an engine, as any client of the OpenAI API would send them. */
export interface EngineClient {
  isUp(): Promise<boolean>;
  /** Names of the loaded adapters. */
  adapters(): Promise<Set<string>>;
  /**
   * Asks a model to continue a prompt.
   * @returns the first line of the answer, or null if the engine does not know the model
   */
  ask(model: string, prompt: string): Promise<string | null>;
}

interface Models {
  readonly data: readonly { readonly id: string; readonly parent?: string | null }[];
}

interface Completion {
  readonly choices: readonly [{ readonly text: string }];
}

export function createEngineClient(url: string): EngineClient {
  return {
    isUp: () =>
      fetch(`${url}/v1/models`).then(
        (response) => response.ok,
        () => false,
      ),
    async adapters() {
      const { data } = (await (await fetch(`${url}/v1/models`)).json()) as Models;
      return new Set(data.filter(({ parent }) => typeof parent === 'string').map(({ id }) => id));
    },
    async ask(model, prompt) {
      const body = JSON.stringify({ model, prompt, max_tokens: LENGTH, temperature: 0 });
      const headers = { 'content-type': 'application/json' };
      const response = await fetch(`${url}/v1/completions`, { method: 'POST', headers, body });
      if (response.status === 404) return null;
      if (!response.ok) throw new Error(`${url}/v1/completions answered ${response.status}: ${await response.text()}`);
      const { choices } = (await response.json()) as Completion;
      return choices[0].text.trim().split('\n')[0]!;
    },
  };
}
