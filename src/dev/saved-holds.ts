import { z } from 'zod';
import { type SavedHold, savedHoldSchema } from '../sidecar/session/saved-holds.ts';
import type { DataDirectory, DataDirectoryContent } from './data-directory.ts';

const KIND = 'SavedHolds';
const NAME = 'local';

/** What the next process needs to take a session's holds up again. */
export interface SavedSession {
  /** The session's slot on the records of the shards; -1 if it had none. */
  readonly slot: number;
  readonly holds: readonly SavedHold[];
}

const savedSessionSchema = z.object({ slot: z.int().min(-1), holds: z.array(savedHoldSchema) });

/** Reads what the last process saved and forgets it, so that a crash of this one is not mistaken for an orderly stop. */
export async function takeSavedHolds(
  directory: DataDirectory,
  content: DataDirectoryContent,
): Promise<SavedSession | undefined> {
  const found = content.objects.find(({ kind }) => kind === KIND);
  if (found === undefined) return undefined;
  const { json, ...object } = found;
  await directory.append([{ type: 'delete', object }]);
  return savedSessionSchema.parse(JSON.parse(json));
}

/** Writes down what the local session held, at an orderly stop. */
export async function saveHolds(directory: DataDirectory, session: SavedSession): Promise<void> {
  const object = { kind: KIND, namespace: '', name: NAME, resourceVersion: '0', json: JSON.stringify(session) };
  await directory.append([{ type: 'put', object }]);
}
