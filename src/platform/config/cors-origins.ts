/** An origin as browsers send it, or `*`. */
export const ORIGIN_PATTERN = '^(\\*|https?://[^/\\s]+)$';
export const ORIGINS_EXPECTED =
  'origins separated by ",", such as https://fleet.example.com,http://localhost:5173, or *';

/** @returns the origins; the text unchanged if one of them is none, which the schema then refuses */
export function parseOrigins(text: string): unknown {
  const origins = text.split(',').map((part) => part.trim());
  const isOrigin = (part: string): boolean => URL.canParse(part) && new URL(part).origin === part;
  return origins.every((part) => part === '*' || isOrigin(part)) ? origins : text;
}
