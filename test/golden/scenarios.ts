import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('scenarios/', import.meta.url));

/** A scenario with the transcript it was last reviewed with. */
export interface Scenario {
  readonly name: string;
  readonly path: string;
  readonly text: string;
}

/** All of them, or those whose name contains one of the given parts. */
export function readScenarios(parts: readonly string[] = []): Scenario[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.txt') && (parts.length === 0 || parts.some((part) => file.includes(part))))
    .sort()
    .map((file) => ({
      name: file.slice(0, -'.txt'.length),
      path: folder + file,
      text: readFileSync(folder + file, 'utf8'),
    }));
}
