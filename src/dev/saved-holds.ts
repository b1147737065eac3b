import { z } from 'zod';
import { type SavedHold, savedHoldSchema } from '../sidecar/session/saved-holds.ts';
import type { DataDirectory, DataDirectoryContent } from './data-directory.ts';

const KIND = 'SavedHolds';
const NAME = 'local';

/** Reads what the last process saved and forgets it, so that a crash of this one is not mistaken for an orderly stop. */
export async function takeSavedHolds(directory: DataDirectory, content: DataDirectoryContent): Promise<SavedHold[]> {
  const found = content.objects.find(({ kind }) => kind === KIND);
  if (found === undefined) return [];
  const { json, ...object } = found;
  await directory.append([{ type: 'delete', object }]);
  return z.array(savedHoldSchema).parse(JSON.parse(json));
}

/** Writes down what the local session held, at an orderly stop. */
export async function saveHolds(directory: DataDirectory, holds: readonly SavedHold[]): Promise<void> {
  const object = { kind: KIND, namespace: '', name: NAME, resourceVersion: '0', json: JSON.stringify(holds) };
  await directory.append([{ type: 'put', object }]);
}
